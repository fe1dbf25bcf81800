"""The scripts, run as their users run them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from helpers.paths import ROOT
from helpers.ports import own_port
from helpers.scripts import run
from nextlabel.lab.importing import import_corpus
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.simulation.datasets.corpora import Corpus

StartBackend = Callable[..., LocalBackend]


def test_connect_doctor_and_disconnect_by_command_line(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    backend = start_backend(fit_every=1000, fit_max_wait_s=3600)
    project = import_corpus(studio, few_pairs, "scripts", 10, seed=0)
    keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}
    both = ("--project", project, "--backend-url", backend.url)

    sick = run("doctor.py", *both, **keys)
    assert sick.returncode == 1
    assert "has no Nextlabel ML backend" in sick.stdout

    first = run("connect_project.py", *both, **keys)
    assert first.returncode == 0, first.stderr
    assert "registered the ML backend" in first.stdout
    assert "nothing to change" in run("connect_project.py", *both, **keys).stdout

    well = run("doctor.py", *both, **keys)
    assert well.returncode == 0, well.stdout

    undone = run("connect_project.py", *both, "--disconnect", **keys)
    assert "removed the webhook" in undone.stdout
    assert studio.ml_backends(project) == []


def test_what_cannot_work_is_refused_in_one_line_before_anything_is_changed(
    label_studio: LocalStudio, studio: LabelStudioClient, few_pairs: Corpus
) -> None:
    project = import_corpus(studio, few_pairs, "refused", 10, seed=0)
    keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}
    for url, complaint in {
        "http://backend:9090": "has no dot",
        "backend": "is not a URL",
        "http://127.0.0.1:9": "Check that the backend runs",
    }.items():
        refused = run("connect_project.py", "--project", project, "--backend-url", url, **keys)
        assert refused.returncode == 1
        assert complaint in refused.stderr
        assert "Traceback" not in refused.stderr
    assert studio.webhooks(project) == []
    regions = (studio.project(project).label_config).replace('choice="single-radio"', 'perRegion="true"')
    other = studio.create_project("regions", regions)
    refused = run("connect_project.py", "--project", other, "--backend-url", "http://127.0.0.1:9", **keys)
    assert "add a control without perRegion" in refused.stderr


def test_importing_damaged_mrpc_files_says_which_line(label_studio: LocalStudio, tmp_path: Path) -> None:
    (tmp_path / "dev_ids.tsv").write_text("1\t2\n")
    (tmp_path / "msr_paraphrase_train.txt").write_text(
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t3\t4\tonly one\n"
    )
    keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}
    refused = run("import_mrpc.py", "--mrpc-dir", tmp_path, **keys)
    assert refused.returncode == 1
    assert "msr_paraphrase_train.txt, line 2: expected 5 tab-separated fields, found 4" in refused.stderr


def test_the_demo_runs_twice_unattended_and_leaves_nothing_running(label_studio_program: str, tmp_path: Path) -> None:
    arguments = ["--rounds", "1", "--exit", "--steps", "4", "--no-browser", "--data-dir", str(tmp_path / "demo")]
    ports = ["--port", str(own_port(18400)), "--backend-port", str(own_port(19400))]
    command = [sys.executable, "-m", "nextlabel", "demo", *arguments, *ports]
    counts: list[int] = []
    for first in (True, False):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1000, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        [told] = [line for line in done.stdout.splitlines() if "after round 1: " in line]
        labels, others = told.split("after round 1: ")[1].split(" labels, ", 1)
        counts.append(int(labels))
        assert others.startswith("accuracy ")
        assert ", publish " in told
        assert told.endswith(" s after the label that made the fit due")
        assert ("Going on with the project" in done.stdout) != first
    assert counts[1] == counts[0] + 32
    assert 144 <= counts[0] < 176, "of the 176 labels those of the control set, drawn anew each time, are not learnt"
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]
