"""Bad and damaged versions, and people who decide otherwise: what the script does, and what annotators are served."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from helpers.audits import AUDIT
from helpers.live_project import LiveProject, kill, plain_pairs
from helpers.scripts import run
from helpers.versions import cut, make_card, write_weights
from helpers.waiting import wait_until
from nextlabel.lab.importing import PAIR_CONFIG, result_of
from nextlabel.lab.sandbox import LocalBackend
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.simulation.datasets.corpora import LABELS, Corpus
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import QueueState
from nextlabel.values.versions import audit_name, head_name, version_number
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

pytestmark = pytest.mark.usefixtures("patience")

PROJECT = 17
CURRENT, REFUSED = 2, 3
StartBackend = Callable[..., LocalBackend]
card = partial(make_card, project=PROJECT, label_counts={"pos": 3, "neg": 4})


# The script alone


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Five versions: the third is refused, the second active, the fourth damaged."""
    registry = Registry(tmp_path)
    now = datetime.now(timezone.utc)
    for number in range(1, 6):
        made = replace(
            card(number),
            parent=card(number - 1).version if number > 1 else None,
            scores={"accuracy": 0.75, "f1": 0.5, "combined": 0.625} if number == CURRENT else None,
            refused="it is worse" if number == REFUSED else "",
            judged="the holdout (40)" if number in (CURRENT, REFUSED) else "",
            unjudged="4 labels are too few" if number == 1 else "",
            of_labels=9 if number == 1 else 0,
            created_at=(now - timedelta(hours=30 * (5 - number))).isoformat(),
        )
        registry.save(made, {}, write_weights)
    cut(registry.path(PROJECT, card(4).version) / "model.safetensors")
    registry.promote(PROJECT, card(CURRENT).version)
    return registry


def versions(registry: Registry, *arguments: object, project: int = PROJECT) -> tuple[int, str, str]:
    """What the script answers: its exit code, what it prints, what it complains of."""
    done = run("versions.py", "--project", project, *arguments, MODEL_DIR=str(registry.root.parent))
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def hints(registry: Registry) -> int:
    return JobQueue(registry.root.parent).waiting()


def test_the_list_says_of_each_version_what_it_is(registry: Registry) -> None:
    code, printed, _ = versions(registry, "list")
    header, *rows = [re.split(r" {2,}", line) for line in printed.splitlines()]
    assert (code, header[:3], header[-1]) == (0, ["number", "version", "labels"], "state")
    assert [row[:2] for row in rows] == [[str(n), card(n).version] for n in (5, 4, 3, 2, 1)]
    assert [row[2] for row in rows] == ["7", "7", "7", "7", "7 (quick, of 9)"]
    assert rows[3][3:] == ["0.750", "0.500", "0.625", "0 MiB", "4 days", "active; judged by the holdout (40)"]
    assert rows[4][-1] == "not judged, as 4 labels are too few"
    assert rows[0][3:] == ["-", "-", "-", "0 MiB", "0.0 h"]
    assert rows[1][-1] == "damaged: model.safetensors has size 3, not 7"
    assert rows[2][-1] == "refused, because it is worse"


@pytest.mark.parametrize("name", [card(REFUSED).version, str(REFUSED)])
def test_a_version_is_promoted_by_name_or_number_and_the_trainer_is_told(registry: Registry, name: str) -> None:
    code, printed, _ = versions(registry, "promote", name)
    assert (code, printed) == (0, f"{card(3).version} is active; the trainer brings the queue into its order.\n")
    assert registry.current(PROJECT) == card(3).version
    assert hints(registry) == 1


def test_after_a_promotion_rollback_goes_to_what_was_active_before(registry: Registry) -> None:
    versions(registry, "promote", 5)
    versions(registry, "promote", 1)
    code, printed, _ = versions(registry, "rollback")
    assert (code, printed) == (0, f"{card(5).version} is active; the trainer brings the queue into its order.\n")
    assert registry.current(PROJECT) == card(5).version
    assert hints(registry) == 1, "hints for one project join"


def test_rollback_goes_back_one_version_at_a_time(registry: Registry) -> None:
    registry.promote(PROJECT, card(5).version)  # its parent is damaged, and the one before that is refused
    for number in (2, 1):
        assert versions(registry, "rollback")[0] == 0
        assert registry.current(PROJECT) == card(number).version
    code, _, complaint = versions(registry, "rollback")
    assert (code, complaint) == (
        1,
        f"Project 17 has no intact version before {card(1).version}: promote one that `list` shows.\n",
    )


def test_while_an_audit_keeps_a_version_in_force_no_other_becomes_active(registry: Registry) -> None:
    Audits(registry.root.parent).begin(replace(AUDIT, project=PROJECT), None)
    for arguments in (("promote", 5), ("rollback",)):
        code, _, complaint = versions(registry, *arguments)
        assert (code, f"`nextlabel certificate stop --project {PROJECT}`" in complaint) == (1, True)
    assert (registry.current(PROJECT), hints(registry)) == (card(CURRENT).version, 0)


def test_pruning_keeps_the_newest_and_the_active_one(registry: Registry) -> None:
    assert versions(registry, "prune", "--keep", 1)[1].split() == [
        word for number in (4, 3, 1) for word in ("deleted", card(number).version)
    ]
    assert registry.versions(PROJECT) == [card(5).version, card(CURRENT).version]
    assert versions(registry, "prune", "--keep", 1)[1] == "deleted nothing\n"


@pytest.mark.parametrize("audit", [(), (audit_name(2, datetime(2026, 11, 30)),)], ids=["now", "before an audit"])
def test_pruning_keeps_the_version_that_the_queue_follows(registry: Registry, audit: tuple[str, ...]) -> None:
    with Pool(pool_path(registry.root.parent, PROJECT)) as pool:
        pool.update(QueueState, lambda _: QueueState(*("", head_name(card(1).version, 3), *audit)[-2:]))
    assert versions(registry, "prune", "--keep", 1)[0] == 0
    assert registry.versions(PROJECT) == [card(5).version, card(CURRENT).version, card(1).version]


@pytest.mark.parametrize(
    ("arguments", "project", "code", "complaint"),
    [
        (["promote", "9"], 17, 1, f"has 0 versions that '9' names: give one of {card(5).version}, "),
        (["promote", "4"], 17, 1, f"Version {card(4).version} of project 17 is damaged: model.safetensors has size 3"),
        (["list"], 4, 1, "holds no version of project 4, but projects [17]. Set MODEL_DIR"),
        (["prune", "--keep", "0"], 17, 2, "'0' is not a whole number of versions, at least 1"),
        (["prune"], 17, 2, "--keep"),
        ([], 17, 2, "action"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    registry: Registry, arguments: list[str], project: int, code: int, complaint: str
) -> None:
    failed, _, said = versions(registry, *arguments, project=project)
    assert failed == code
    assert complaint in said
    assert registry.current(PROJECT) == card(CURRENT).version
    assert len(registry.versions(PROJECT)) == 5
    assert hints(registry) == 0


# The whole program, with a real Label Studio


@pytest.fixture(scope="module")
def easy() -> Corpus:
    """Pairs that a tiny model learns whatever the seed: their first words tell the label. As these come more or less
    often, no two pairs are equally uncertain."""
    times = [4 + 7 * (n // 2) % 9 for n in range(110)]
    pairs = [
        replace(pair, sentence1=f"{', '.join([word] * n)}: {pair.sentence1}", label=label)
        for pair, n, word, label in zip(plain_pairs(110), times, cycle(("yes", "no")), cycle(LABELS), strict=False)
    ]
    return Corpus("yes and no", tuple(pairs[:70]), tuple(pairs[70:]))


@pytest.fixture
def project(studio: LabelStudioClient, start_backend: StartBackend, easy: Corpus, tiny: Path) -> LiveProject:
    """A project that is fitted on demand only, with two good versions, the second active."""
    backend = start_backend(
        base_model=tiny, fit_every=1000, fit_max_wait_s=3600, fit_steps=40, learning_rate=2e-3, batch_size=16,
        max_length=32, window=8, promote_margin=0.05, reconcile_s=1, precision="fp32",
    )  # fmt: skip
    project = LiveProject(studio, backend, easy)
    refit(project)
    project.label(4)
    refit(project)
    return project


def refit(project: LiveProject) -> None:
    """A fit on demand, and the queue in the order of whatever is active then."""
    done = project.board.fit(project.id).fits
    project.studio.start_training(project.id)
    wait_until(lambda: project.board.fit(project.id).fits > done, "the fit")
    # One whose labels had been read before the demand is followed by another on the same labels.
    wait_until(lambda: not JobQueue(project.backend.model_dir).demanded(project.id), "the demand to be met")
    wait_until(project.is_active, "the queue to settle")


def switch(project: LiveProject, *arguments: object) -> str:
    """What the script makes active, once the queue is in its order."""
    assert versions(project.registry, *arguments, project=project.id)[0] == 0
    wait_until(project.is_active, "the queue to follow")
    return project.version() or ""


def serves_in_the_order_of(project: LiveProject, version: str) -> bool:
    expected = project.order_by_entropy(version)
    return project.label(3) == expected[:3]


def look_again(project: LiveProject) -> None:
    looks = project.board.queue(project.id).reconciles
    wait_until(lambda: project.board.queue(project.id).reconciles > looks + 3, "some looks at the project")


def text_at(project: LiveProject, path: str) -> str:
    return httpx.get(project.backend.url + path).text


def swap_labels(project: LiveProject, version: str) -> None:
    """Give every task that the version was fitted on the other label."""
    other = dict(zip(LABELS, reversed(LABELS), strict=True))
    for task, label in project.registry.fitted_labels(project.id, version).items():
        annotation = project.studio.task(task)["annotations"][0]["id"]
        project.studio._call("PATCH", f"api/annotations/{annotation}/", json={"result": result_of(other[label])})


def test_a_bad_version_is_not_served_until_a_person_says_so_and_a_rollback_is_followed(project: LiveProject) -> None:
    made = project.registry.versions(project.id)
    second, first = made[:2]
    assert project.order_by_entropy(first) != project.order_by_entropy(second)
    swap_labels(project, second)
    before = [(p.prediction_id, p.score) for p in project.studio.our_predictions(project.id) if p.version == second]
    refit(project)

    then = project.registry.versions(project.id)
    bad = then[0]
    refusal = project.registry.card(project.id, bad).refused
    assert f"below that of {second}, more than PROMOTE_MARGIN=0.05" in refusal
    assert project.version() == second
    look_again(project)
    now = [(p.prediction_id, p.score) for p in project.studio.our_predictions(project.id)]
    assert set(before) <= set(now)
    assert {p.version for p in project.studio.our_predictions(project.id)} <= set(made)
    assert serves_in_the_order_of(project, second)
    assert f"{bad} was not promoted: {refusal}" in text_at(project, "/")
    assert f'nextlabel_fits_refused_total{{project="{project.id}"}} 1.0' in text_at(project, "/metrics")
    assert f"refused, because {refusal}" in versions(project.registry, "list", project=project.id)[1]

    assert switch(project, "rollback") == first
    assert serves_in_the_order_of(project, first)
    look_again(project)
    assert project.registry.versions(project.id) == then, "what was rolled back is not made again"
    assert project.board.queue(project.id).warnings == (), "it is not taken for a person's choice in Label Studio"

    assert switch(project, "promote", version_number(bad)) == bad
    assert serves_in_the_order_of(project, bad)


def test_a_damaged_version_is_stood_in_for_and_a_fit_that_is_stopped_goes_on_after_the_start(
    project: LiveProject,
) -> None:
    made = project.registry.versions(project.id)
    second, first = made[:2]
    stop_in_time(project)
    weights = project.registry.path(project.id, second) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    project.registry = Registry(project.backend.model_dir)
    assert project.version() == first

    start_with(project, fit_steps=1_000_000)
    wait_until(lambda: project.studio.project(project.id).model_version == first, "the queue to fall back")
    wait_until(project.is_active, "the queue to settle")
    assert serves_in_the_order_of(project, first)
    [warning] = project.board.queue(project.id).warnings
    assert warning.startswith(f"The promoted version {second} is damaged (model.safetensors has size 100000, not ")
    assert f"{first}, the newest intact one, is active instead" in warning
    assert f"The promoted version {second} is damaged" in text_at(project, "/")
    task = {"id": 1, "data": {"sentence1": "yes", "sentence2": "So it is."}}
    body = {"tasks": [task], "project": project.id, "label_config": PAIR_CONFIG}
    answer = httpx.post(f"{project.backend.url}/predict", json=body, timeout=60)
    assert (answer.status_code, answer.json()["model_version"]) == (200, first)
    assert answer.json()["results"][0]["result"]

    project.studio.start_training(project.id)
    wait_until(lambda: project.board.fit(project.id).state == "fitting", "the fit to begin")
    stop_in_time(project)
    assert project.registry.versions(project.id) == made
    start_with(project, fit_steps=40)
    third = project.wait(newer_than=first)
    assert project.registry.card(project.id, third).reason == "Fit now or Start Training was pressed"
    assert serves_in_the_order_of(project, third)
    assert project.board.queue(project.id).warnings == ()

    # What only a load can tell. The window is topped up with scores of the damaged version as long as there are any.
    flip_a_byte(project.registry.path(project.id, third) / "model.safetensors")
    kill(project.backend, "trainer")
    project.label(6)
    wait_until(lambda: project.board.queue(project.id).version == first, "the queue to fall back again")
    assert project.studio.project(project.id).model_version == first
    assert "model.safetensors has sha256" in project.board.queue(project.id).warnings[0]


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def stop_in_time(project: LiveProject) -> None:
    """SIGTERM is heard; `stop` would kill after a while, without the supervisor's last words."""
    start = time.monotonic()
    project.backend.stop()
    assert time.monotonic() - start < 10
    assert (project.backend.model_dir / "serve.log").read_text().splitlines()[-1].endswith("stopped")


def start_with(project: LiveProject, **settings: object) -> None:
    project.backend._environment.update({key.upper(): str(value) for key, value in settings.items()})
    project.backend.start()
