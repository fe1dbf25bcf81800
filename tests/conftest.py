"""What tests share: a real Label Studio, real MiniLM weights, projects with a few pairs in them."""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar
from unittest.mock import patch

import hypothesis
import pytest

from helpers.fits import QUICK
from helpers.migrated_studio import migrated_program
from helpers.ports import own_port
from nextlabel.lab import sandbox
from nextlabel.lab.demo import small_checkpoint
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.processes import without_collecting, yield_cores_while_waiting
from nextlabel.simulation.datasets.corpora import Corpus, own_pairs

if TYPE_CHECKING:
    from helpers.queue_servers import PostgresqlServer, QueueServer, RedisServer

    AnyServer = TypeVar("AnyServer", bound=QueueServer)

yield_cores_while_waiting()  # nothing has imported torch yet: servers and tests share the cores


hypothesis.settings.register_profile("shared", deadline=None)  # the cores are others', too
hypothesis.settings.load_profile("shared")

MARKERS = {"label_studio_program": "server", "patience": "long"}
# In seconds since 1970. From then on none of these tests is begun, as on a slow machine there is no time for all.
UNTIL = os.environ.get("SLOW_TESTS_UNTIL", "")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores, as a third of their time tests wait for servers. Of the processes each has a Label Studio of
    its own, which takes memory."""
    return min((os.cpu_count() or 1) * 3 // 2, 4)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests stay; nobody needs to look for garbage among them."""
    with without_collecting():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a test asks for, through whatever fixture, says how it is marked. Files that take longest come first: where
    several processes share the files, none of them is left with a long one at the end. Where time may be too short for
    all, the order of these is drawn anew each time, so that each is run sooner or later."""
    slow = Counter[tuple[Path, str]]()
    for item in items:
        for fixture in MARKERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKERS[fixture])
            slow[item.path, MARKERS[fixture]] += 1
    if UNTIL:
        files = sorted({path for path, _ in slow})
        random.Random(UNTIL).shuffle(files)  # the same in each process
        items.sort(key=lambda item: files.index(item.path) if item.path in files else len(files))
    else:
        items.sort(key=lambda item: [-slow[item.path, marker] for marker in MARKERS.values()])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture is made."""
    if UNTIL and time.time() > float(UNTIL) and any(item.get_closest_marker(name) for name in MARKERS.values()):
        pytest.skip("there is no time left for it on this machine")


@pytest.fixture(scope="session")
def patience() -> None:
    """Asked for by what takes seconds: processes of ours, fits of real weights, figures, thousands of inputs."""


@pytest.fixture(scope="session")
def label_studio_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The program, for whoever starts a server of their own, or runs a command that does."""
    program = migrated_program(sandbox.label_studio(), tmp_path_factory.mktemp("program"))
    with patch.dict(os.environ, LABEL_STUDIO_EXECUTABLE=program):
        yield program


@pytest.fixture(scope="session")
def minilm(patience: None) -> Path:
    """The directory of the all-MiniLM-L6-v2 checkpoint."""
    return small_checkpoint()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with random weights, too small to learn much and quick to fit; the tokenizer is a real one."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    directory = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    BertForSequenceClassification(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(small_checkpoint()).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def wide(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny`, with weights so wide apart that entropies are, too: an order by them is no matter of rounding."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    directory = tmp_path_factory.mktemp("wide")
    torch.manual_seed(0)
    BertForSequenceClassification(BertConfig.from_pretrained(tiny, initializer_range=0.5)).save_pretrained(directory)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def label_studio(label_studio_program: str) -> Iterator[LocalStudio]:
    """A real Label Studio server on SQLite, one for all tests."""
    with TemporaryDirectory(prefix="label-studio-", dir=memory()) as home:
        server = LocalStudio(Path(home), own_port(18100))
        server.start()
        yield server
        server.stop()


def memory() -> Path | None:
    """A directory in memory, if there is one with room: on a disk, a request that writes takes twice as long."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > 2**30 else None


@pytest.fixture(scope="session")
def studio(label_studio: LocalStudio) -> LabelStudioClient:
    """A client of the real server."""
    return label_studio.connect()


def running(server: "AnyServer") -> "Iterator[AnyServer]":
    """Started, and ended whatever happens."""
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def redis_server() -> "Iterator[RedisServer]":
    """A real Redis server, one for all tests."""
    from helpers.queue_servers import RedisServer

    yield from running(RedisServer())


@pytest.fixture(scope="session")
def postgresql_server() -> "Iterator[PostgresqlServer]":
    """A real PostgreSQL server, one for all tests."""
    from helpers.queue_servers import PostgresqlServer

    yield from running(PostgresqlServer())


@pytest.fixture(scope="session")
def few_pairs() -> Corpus:
    """96 pairs to label and 24 held out: enough for some quick rounds."""
    corpus = own_pairs()
    return Corpus("a few of our own pairs", corpus.train[:96], corpus.holdout[:24])


@pytest.fixture
def start_backend(label_studio: LocalStudio, tmp_path: Path, wide: Path) -> Iterator[Callable[..., LocalBackend]]:
    """Starts a backend against the real server with quick fits; stops it after the test."""
    started: list[LocalBackend] = []

    def start(command: str = "serve", model_dir: Path | None = None, **settings: object) -> LocalBackend:
        port = own_port(19100)
        settings = {"base_model": wide, **QUICK, **settings}
        backend = LocalBackend(label_studio, model_dir or tmp_path / "backend", port, command, **settings)
        started.append(backend)
        backend.start()
        return backend

    yield start
    for backend in started:
        backend.stop()
