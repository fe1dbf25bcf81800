"""An audit with a real Label Studio, by command line: begun, labelled, killed in between, certified, contradicted."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from helpers.fits import QUICK
from helpers.live_project import LiveProject, kill
from helpers.waiting import WAIT_S, wait_until
from nextlabel.__main__ import main
from nextlabel.lab.importing import import_corpus, result_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.project_options import change
from nextlabel.learning.certificate import Answer, Audit, passed
from nextlabel.learning.heads import EVERY
from nextlabel.settings import load_settings
from nextlabel.simulation.datasets.corpora import LABELS, Corpus
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import CertificateStatus
from nextlabel.versions.audits import Audits

StartBackend = Callable[..., LocalBackend]
Certificate = Callable[..., tuple[int, str]]
ON = {
    **QUICK, "control_share": 0.5, "head": "on", "query_strategy": "margin", "fit_every": 1000, "fit_max_wait_s": 3600,
    "fit_schedule": "8",
}  # fmt: skip


@pytest.fixture
def project(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: StartBackend,
    few_pairs: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> LiveProject:
    """Whose queue follows a head, and whose settings are those of the commands."""
    found = LiveProject(studio, start_backend(**ON), few_pairs)
    for name, value in {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.login.token,
        "MODEL_DIR": str(found.backend.model_dir),
        "CONTROL_SHARE": "0.5",
    }.items():
        monkeypatch.setenv(name, value)
    found.wait()
    found.label(4 * EVERY)  # of which about half are of the control set, in turns that nobody can tell
    labels = len(found.labelled())

    def no_other_head_is_due() -> bool:
        status = found.board.queue(found.id)
        knows_all = status.labels + status.control == labels and status.labels - status.known < EVERY
        return status.version != followed(found) == status.order and status.state == "published" and knows_all

    wait_until(no_other_head_is_due, "a head")
    return found


@pytest.fixture
def certificate(project: LiveProject, capsys: pytest.CaptureFixture[str]) -> Certificate:
    """The command: its exit code, and what it says."""

    def call(action: str, *arguments: object, of: int = project.id) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["certificate", action, "--project", str(of), *map(str, arguments)])
        return code, "".join(capsys.readouterr())

    return call


def followed(project: LiveProject) -> str:
    return project.studio.project(project.id).model_version or ""


def audited(project: LiveProject) -> set[int]:
    """What is published of the audit. No guess of it is shown."""
    predictions = [p for p in project.studio.our_predictions(project.id) if p.version.startswith("nextlabel-audit-2-")]
    assert all(p.choice == "" for p in predictions)
    return {p.task_id for p in predictions}


def labels_without_error(audit: Audit) -> int:
    """After how many all tasks are certified, in this order."""
    right = [Answer(said, 1, "") for said in audit.said[: audit.most_labels]]
    whole = audit.plan.parts[-1]
    return next(n for n in range(1, len(right) + 1) if passed(audit, right[:n]) == whole)


def answer(project: LiveProject, audit: Audit, before: list[int]) -> int:
    """Answer what Label Studio serves as the version does, once there is a task; returns it."""
    wait_until(lambda: audited(project) - set(before), "a task of the audit")
    task = project.studio.next_task(project.id)
    assert task is not None
    said = audit.said[audit.ids_N.tolist().index(task["id"])]
    project.studio.annotate(task["id"], result_of(said))
    return int(task["id"])


def test_an_audit_is_begun_labelled_and_certified_though_the_trainer_is_killed(
    project: LiveProject, certificate: Certificate, few_pairs: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = followed(project)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("CONTROL_SHARE", "0.1")
        code, said = certificate("start")
        assert (code, "in another way than the environment here says" in said) == (1, True)
    with monkeypatch.context() as killed:
        killed.setattr(Audits, "begin", interrupted)
        assert certificate("start")[0] == 130
    code, said = certificate("status")
    assert (code, "has begun no audit" in said) == (1, True)
    code, said = certificate("start", "--risk", 0.4, "--labels", 12)
    assert (code, "Audit 2 has begun" in said) == (0, True), said
    audit = Audits(project.backend.model_dir).load(project.id, 2)
    assert audit.plan.level == 0.0125, "what was cut short has spent its part"
    assert "If none is wrong, about" in said
    needed = labels_without_error(audit)
    assert audit.version == head
    assert set(audit.ids_N.tolist()).isdisjoint(project.labelled())
    assert "runs. Give it up first" in certificate("start")[1]

    served = list[int]()
    wait_until(lambda: "nextlabel-audit-2-" in followed(project), "the queue to hold the audit")
    look_at_the_figures(project, head)
    for place in range(needed):
        served.append(answer(project, audit, served))
        if place == 3:
            kill(project.backend, "trainer")
            assert guesses(project) == [[], []]
            code, said = certificate("issue", "--out", tmp_path / "early.json")
            assert (code, "certifies nothing: of 4 tasks 0 are wrong" in said) == (1, True)
    assert served == audit.ids_N[:needed].tolist(), "nothing but the audit's tasks, in the order of the draw"
    wait_until(lambda: followed(project) == head, "the queue to follow the head again")
    assert "ended, as all tasks are certified" in certificate("status")[1]
    look_at_the_board(project, audit, needed)

    file = tmp_path / "certificate.json"
    assert certificate("issue", "--out", file, "--labels", tmp_path / "labels.csv")[0] == 0
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 1 + len(audit.ids_N)
    code, said = certificate("verify", file)
    assert (code, "All of it is so, and in force." in said) == (0, True), said
    edit_a_certified_text(project, certificate, tmp_path)
    leave_to_the_machine(project)
    assert "cannot be written" in certificate("issue", "--out", file / "in-no-directory.json")[1]
    contradict(project, certificate, file)
    another = import_corpus(project.studio, few_pairs, "another", 10, seed=0)
    told = f"Of another project or audit: audit is 2, and project {another} has begun 0.\n"
    assert certificate("verify", file, of=another) == (1, told)
    assert certificate("stop")[0] == 0
    project.label(2 * EVERY)
    wait_until(lambda: followed(project) not in ("", head), "a head that knows the labels of the audit, too")
    assert f"Outdated: version is {head}, and nextlabel-1." in certificate("verify", file)[1]
    shutil.rmtree(project.backend.model_dir / "audits")
    assert f"Audit 3 of project {project.id}" in certificate("start", "--dry-run")[1], "Label Studio counts them, too"


def guesses(project: LiveProject) -> list[object]:
    """What two tasks are answered when predictions are retrieved."""
    tasks = [project.studio.task(task) for task in sorted(audited(project))[:2]]
    config = project.studio.project(project.id).label_config
    body = {"tasks": tasks, "project": f"{project.id}.1", "label_config": config}
    answers = httpx.post(f"{project.backend.url}/predict", json=body, timeout=WAIT_S).json()["results"]
    return [found["result"] for found in answers]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def leave_to_the_machine(project: LiveProject) -> None:
    """All that is left of the pool is certified, so that nobody is asked for it, as long as that is wanted."""
    with Pool(pool_path(project.backend.model_dir, project.id)) as pool:
        left = set(pool.open_ids())
    assert left

    def asked_for() -> bool:
        ours = project.studio.our_predictions(project.id)
        return bool({p.task_id for p in ours if p.version == followed(project)} & left)

    wait_until(asked_for, "tasks of the pool in the queue")
    change(project.studio, load_settings(), project.id, {"after_certificate": "uncertain"})
    wait_until(lambda: not asked_for(), "no more of them")
    wait_until(lambda: "nobody is asked for" in str(project.board.queue(project.id).remarks), "the page to say so")
    change(project.studio, load_settings(), project.id, {"after_certificate": ""})
    wait_until(asked_for, "tasks of the pool in the queue again")


def look_at_the_figures(project: LiveProject, head: str) -> None:
    """They are of what is audited."""

    def are_told() -> bool:
        quality = project.board.quality(project.id)
        return quality.order == head and quality.figures is not None

    wait_until(are_told, "figures of what is audited")


def look_at_the_board(project: LiveProject, audit: Audit, labels: int) -> None:
    """All is certified, without an error."""
    wait_until(lambda: project.board.certificate(project.id).claim, "the claim to be told on the page")
    told = replace(project.board.certificate(project.id), claim="")
    assert told == CertificateStatus(2, "", labels, audit.asked_for, 0, 0, len(audit.ids_N))


def edit_a_certified_text(project: LiveProject, certificate: Certificate, directory: Path) -> None:
    """Of a task that is left to the machine, and back: the machine's label was of the text as it was."""
    with Pool(pool_path(project.backend.model_dir, project.id)) as pool:
        task = min(pool.open_ids())
    data = project.studio.task(task)["data"]
    project.studio._call("PATCH", f"api/tasks/{task}/", json={"data": {**data, "sentence1": "What it was not"}})
    code, said = certificate("issue", "--out", directory / "edited.json", "--labels", directory / "fewer.csv")
    assert (code, f"1 task that was edited or deleted since, task {task} first" in said) == (1, True), said
    whole, fewer = ((directory / name).read_text().splitlines() for name in ("labels.csv", "fewer.csv"))
    [gone] = set(whole).difference(fewer)
    assert gone.startswith(f"{task},")
    project.studio._call("PATCH", f"api/tasks/{task}/", json={"data": data})


def contradict(project: LiveProject, certificate: Certificate, file: Path) -> None:
    """Forge a count; then change a label."""
    found = json.loads(file.read_text())
    right = found["labels"][2]
    found["result"]["size"] += 1
    (file.parent / "forged.json").write_text(json.dumps(found))
    code, said = certificate("verify", file.parent / "forged.json")
    assert (code, "Forged: the file is none of the" in said) == (1, True), said
    assert "Forged: result.size is" in said
    [annotation] = [a["id"] for a in project.studio.task(right["task"])["annotations"]]
    other = next(label for label in LABELS if label != right["said"])
    project.studio._call("PATCH", f"api/annotations/{annotation}/", json={"result": result_of(other)})
    told = f"labels[2].label is {right['said']!r}, and task {right['task']} was answered {other!r} since"
    assert certificate("verify", file) == (1, f"Outdated: {told}.\n")
