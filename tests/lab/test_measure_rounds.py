"""What a round costs is measured side by side; the builds are stand-ins that tell their seconds at once."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nextlabel.commands import measure_rounds as command
from nextlabel.lab import measure_rounds

RECORD = {
    "seed": 0,
    "strategy": "entropy",
    "dev": {"accuracy": 0.5, "f1": 0.5, "combined": 0.5, "examples": 2},
    "test": None,
    "chosen": [],
}

# As scripts/simulate.py: two rounds with the label counts asked for, each as many seconds long as there are labels.
SCRIPT = f"""
import json, sys
from pathlib import Path
options = dict(option.partition("=")[::2] for option in sys.argv[1:] if "=" in option)
start, batch = int(options["--start"]), int(options["--batch"])
record, others = {RECORD!r}, dict(evaluate=1.0, select=2.0, shared=9.0)
lines = [
    {{**record, "round": n, "labels": labels, "seconds": {{**others, "fit": labels}}}}
    for n, labels in enumerate((start, start + batch))
]
Path(options["--out"], "rounds.jsonl").write_text("".join(json.dumps(line) + "\\n" for line in lines))
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    scripts = tmp_path / "older" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "simulate.py").write_text(SCRIPT, encoding="utf-8")
    return scripts.parent


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "r8").mkdir()
    (tmp_path / "r8" / "train.jsonl").write_text('{"id": 1, "text": "a", "label": "b"}\n', encoding="utf-8")
    return tmp_path / "r8"


def test_rounds_are_measured_in_turns_at_the_same_label_counts(
    tmp_path: Path,
    corpus: Path,
    older: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, played = measure_rounds._rounds, []

    def of_this_build(home: Path, options: Sequence[str], labels: Sequence[int]) -> object:
        played.append("before" if home == older else "now")
        if home == older:
            return real(home, options, labels)
        assert "--labels-at=32,64,128" in options
        quick = "--steps=1" in options
        return ((n, {"fit": n / (4 if quick else 2), "evaluate": 1.0, "shared": 99.0}) for n in labels)

    monkeypatch.setattr(measure_rounds, "_rounds", of_this_build)
    out = tmp_path / "rounds.json"
    options = ["--labels", "32,64,128", "--turns", "2", "--threads", "1", "--recipe=--steps=1", "--out", str(out)]
    command.main([str(corpus), "--against", str(older), "--base-model", str(tiny), *options])
    # An older build plays two counts a run: 32 and 64, then 128.
    assert played == ["now", "now", "before", "before"] * 2
    told = json.loads(out.read_text(encoding="utf-8"))
    assert [(row["way"], row["labels"], row["round_s"], row["turns"]) for row in told["rounds"]] == [
        ("now", 32, 9.0, [9.0, 9.0]),
        ("now", 64, 17.0, [17.0, 17.0]),
        ("now", 128, 33.0, [33.0, 33.0]),
        ("now, older recipe", 32, 17.0, [17.0, 17.0]),
        ("now, older recipe", 64, 33.0, [33.0, 33.0]),
        ("now, older recipe", 128, 65.0, [65.0, 65.0]),
        ("before", 32, 35.0, [35.0, 35.0]),
        ("before", 64, 67.0, [67.0, 67.0]),
        ("before", 128, 131.0, [131.0, 131.0]),
    ]
    assert told["ratios"]["now"] == {"r8": 59 / 233}
    assert told["ways"]["now"]["options"] == "--steps=1"
    assert told["ways"]["before"] == {"options": command.OLDER, "commit": None}
    assert (told["threads"], told["base_model"].partition(" ")[0]) == (1, tiny.name)
    assert "now, in parts of before: r8 0.25" in capsys.readouterr().out


def test_what_is_no_checkout_is_refused(tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main([str(corpus), "--against", str(tmp_path), "--base-model", "none"])
    assert f"--against {tmp_path} is no checkout of Nextlabel" in capsys.readouterr().err
