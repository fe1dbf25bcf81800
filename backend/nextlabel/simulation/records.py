"""The records of a simulation on disk, one for every finished round. Knows files, not models."""

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nextlabel.errors import BadRunError
from nextlabel.store.files import replace_file

log = logging.getLogger(__name__)

FULL, RANDOM = "full", "random"  # the baseline on all the data, and the arm that every other one must beat
LIVE = "live"  # the arm that is served as a new project is
BATCHED = "entropy:64"  # the arm that is served as a project of release 0.1.0 was

ROUNDS, SETTING, INVOCATIONS = "rounds.jsonl", "setting.json", "run.json"

SOURCE = "data.source"
SHARED = "data.shared"  # counted of texts that the fingerprint is of, and not always in the same way
SCORES = ("accuracy", "f1", "combined")
COMBINED, MACRO_F1 = "combined", "macro_f1"  # the measures that arms can be compared by


@dataclass(frozen=True)
class Record:
    """A finished round: the scores of a model fitted on `labels` labels, and the ids it chose to be labelled next.

    `dev` and `test` hold accuracy, f1 and combined in [0, 1], with label counts macro_f1 too, and the number of
    examples; `test` is None without a test part. `seconds` by stage, of which `shared` were spent for another arm that
    began with the same labels. `machine` is the processor. `mix` counts the chosen ones by label, `near_copies` those
    that say nearly the same as one labelled before them. `train_accuracy` is that on the labels of the fit: far below 1
    says that the fit was too short. `head` tells of an arm that heads order how they were fitted, and the macro-F1 on
    dev of one that knows the chosen too. `control` says what control labels say of the version, and with which limits,
    from the first one on, and `told` what a project's page would say of the order of the live arm, as `told.told` has
    it. `questions` of a form has each one's measures, by part. `exchanged` of a first round is the id in the start that
    was exchanged for the last drawn, as all drawn had one class. Under the same seed all strategies
    start from the same labels. `setting` is a digest of the setting it was made under.
    """

    seed: int
    strategy: str
    round: int
    labels: int
    dev: Mapping[str, float]
    test: Mapping[str, float] | None
    chosen: tuple[int, ...]
    seconds: Mapping[str, float]
    device: str = ""
    versions: Mapping[str, str] | None = None
    setting: str = ""
    machine: str = ""
    mix: Mapping[str, int] | None = None
    near_copies: int | None = None
    train_accuracy: float | None = None
    head: Mapping[str, float] | None = None
    control: Mapping[str, Any] | None = None
    questions: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None
    told: Mapping[str, Any] | None = None
    exchanged: int | None = None

    @property
    def arm(self) -> tuple[int, str]:
        """Seed and strategy."""
        return self.seed, self.strategy

    def result(self) -> tuple[object, ...]:
        """What must be equal when the round is played again; seconds, device and versions may differ."""
        return self.labels, self.dev, self.test, self.chosen


@dataclass(frozen=True)
class Run:
    """One or more directories of the same setting: how they were made, and their rounds, each arm's in order."""

    setting: Mapping[str, Any]
    invocations: Sequence[Mapping[str, Any]]
    rounds: Sequence[Record]

    @property
    def planned(self) -> Mapping[tuple[int, str], int | None]:
        """Rounds of labelling that the last start asked for (None: until no label is left), by seed and strategy.

        Runs made before starts noted their plan have none.
        """
        return {arm: start.get("rounds") for start in self.invocations for arm in arms_of(start)}

    @property
    def failures(self) -> Mapping[tuple[int, str], str]:
        """Why an arm ended before its time, by seed and strategy; not of those that a later start brought to an end."""
        planned = self.planned
        ended = {record.arm for record in self.rounds if not record.chosen or record.round == planned.get(record.arm)}
        failed = [failure for start in self.invocations for failure in start.get("failures") or []]
        why = {(failure["seed"], failure["strategy"]): str(failure.get("why", "")) for failure in failed}
        return {arm: reason for arm, reason in why.items() if arm not in ended}


def arms_of(start: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The seeds and strategies that a start asked for; of the baseline on all data its own seeds."""
    for seed in start.get("seeds") or []:
        for strategy in start.get("strategies") or []:
            if strategy != FULL or seed in start.get("full_seeds", [seed]):
                yield seed, strategy


def read_run(directory: Path) -> Run:
    """All of a directory. Raises `BadRunError` when a file is missing or damaged, a round is missing or double, or the
    rounds were made under another setting than the one that is told."""
    setting, run = _require(directory / SETTING), _require(directory / INVOCATIONS)
    rounds = read_rounds(directory / ROUNDS)
    if not rounds:
        raise BadRunError(f"{directory / ROUNDS} holds no finished round yet. Let `nextlabel simulate` finish one.")
    digests = sorted({record.setting for record in rounds})
    if len(digests) > 1:
        raise BadRunError(f"{directory / ROUNDS} holds rounds of several settings: {', '.join(digests)}. Run it again.")
    if digests != [""]:  # of rounds that were made before they had one
        require_made_under(setting, rounds, directory)
    invocations = run.get("invocations", [run])
    if not isinstance(invocations, list) or not all(isinstance(i, dict) for i in invocations):
        raise BadRunError(f'{directory / INVOCATIONS}: "invocations" is not a list of objects.')
    found = Run(setting, invocations, rounds)
    try:
        _ = found.planned, found.failures
    except (KeyError, TypeError, AttributeError):
        raise BadRunError(f"{directory / INVOCATIONS}: what was planned, or what failed, cannot be read.") from None
    return found


def digest_of(setting: Mapping[str, Any]) -> str:
    """What the rounds that are made under a setting know it by."""
    return hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:12]


def require_made_under(
    setting: Mapping[str, Any], rounds: Iterable[Record], directory: Path, told: bool = True
) -> None:
    """Raises `BadRunError` when the directory has rounds of another setting. `told` is whether it tells this one."""
    others = {record.setting for record in rounds} - {digest_of(setting)}
    if others:
        raise BadRunError(
            f"{directory / ROUNDS} holds rounds of the setting {', '.join(sorted(others))}, and {SETTING} there "
            f"{'tells another' if told else 'is missing'}. Restore that file, or give another directory."
        )


def merge(runs: Mapping[str, Run]) -> Run:
    """Runs by name as one. Raises `BadRunError` when their settings differ, or a round has two different results.

    A round that two runs have with the same result counts once.
    """
    (first, base), *others = runs.items()
    known = {(*record.arm, record.round): (record, first) for record in base.rounds}
    for name, run in others:
        require_same(base.setting, run.setting, first, name)
        for record in run.rounds:
            before, where = known.setdefault((*record.arm, record.round), (record, name))
            if before.result() != record.result():
                raise BadRunError(
                    f"{_name(record)} has another result in {name} than in {where}. Give only one of them, or play "
                    "them with different --seeds."
                )
    in_order = sorted((record for record, _ in known.values()), key=lambda record: record.round)
    return Run(base.setting, [i for run in runs.values() for i in run.invocations], in_order)


def read_rounds(path: Path) -> list[Record]:
    """The records of a file, in its order; none when there is no file. A broken last line is left out with a warning.

    Raises `BadRunError` for any other line that is no record, and for rounds that are double, missing or out of order.
    """
    whole, broken = _split(path)
    if broken:
        log.warning("%s: left out a broken last line (%d bytes) of a run that was killed.", path, len(broken))
    records = [_parse(line, f"{path}, line {number}") for number, line in enumerate(_lines(whole), start=1) if line]
    _require_whole_arms(records, path)
    return records


def append(path: Path, record: Record) -> None:
    """Write one line at the end of the file, at once and to the disk itself. Raises `OSError` when it cannot."""
    with path.open("ab") as file:
        file.write(_line(record).encode())
        file.flush()
        os.fsync(file.fileno())


def write_rounds(path: Path, rounds: Iterable[Record]) -> None:
    """Replace all records of a file, whole or not at all. Raises `OSError` when it cannot."""
    replace_file(path, "".join(map(_line, rounds)), durable=True)


def _line(record: Record) -> str:
    fields = asdict(record)
    for later in ("head", "control", "questions", "told", "exchanged"):  # lines of all other arms are as they ever were
        if fields[later] is None:
            del fields[later]
    return json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n"


def repair(path: Path) -> bytes:
    """Cut a broken last line off, so that more can be appended; returns what was cut, mostly nothing."""
    whole, broken = _split(path)
    if broken:
        with path.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
    return broken


def require_same(one: Mapping[str, Any], other: Mapping[str, Any], name: str, other_name: str) -> None:
    """Raises `BadRunError` with every key of the settings that differs and both its values."""
    differing = "".join(f"\n  {line}" for line in differences(one, other))
    if differing:
        raise BadRunError(
            f"{name} and {other_name} cannot be compared, their settings differ:{differing}\n"
            "Give runs of the same setting, or report on each alone."
        )


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Every key that differs, as in `recipe.steps: 343, not 60`; empty when both are alike.

    The same data may lie elsewhere: its fingerprint decides.
    """
    ours, theirs = dict(_leaves(one)), dict(_leaves(other))
    keys = [key for key in dict.fromkeys([*ours, *theirs]) if key != SOURCE and not key.startswith(SHARED)]
    shown = [(key, _shown(ours, key), _shown(theirs, key)) for key in keys]
    return [f"{key}: {mine}, not {others}" for key, mine, others in shown if mine != others]


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, None when there is no file. Raises `BadRunError` when it holds anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise BadRunError(f"{path} cannot be read: {error}.") from None
    if not isinstance(value, dict):
        raise BadRunError(f"{path} holds no JSON object.")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file by an object, whole or not at all. Raises `OSError` when it cannot."""
    replace_file(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", durable=True)


def _split(path: Path) -> tuple[bytes, bytes]:
    """The file's whole lines, and what a killed process left of the last one."""
    if not path.exists():
        return b"", b""
    text = path.read_bytes()
    end = text.rfind(b"\n", 0, -1) + 1
    last = text[end:]
    if last.endswith(b"\n") and _is_json(last):
        return text, b""
    # A line without its end may look whole and lack digits of its last number, so it is never trusted.
    return text[:end], last


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return not line.strip()
    return True


def _lines(text: bytes) -> list[bytes]:
    # Not splitlines(): only a line feed ends a line of JSON.
    return [line.strip() for line in text.split(b"\n")]


def _parse(line: bytes, where: str) -> Record:
    try:
        fields = json.loads(line)
        return Record(
            seed=_count(fields["seed"]),
            strategy=str(fields["strategy"]),
            round=_count(fields["round"]),
            labels=_count(fields["labels"]),
            dev=_scores(fields["dev"]),
            test=None if fields["test"] is None else _scores(fields["test"]),
            chosen=tuple(_count(i) for i in fields["chosen"]),
            seconds={str(stage): float(seconds) for stage, seconds in fields["seconds"].items()},
            device=str(fields.get("device", "")),
            versions=fields.get("versions"),
            setting=str(fields.get("setting", "")),
            machine=str(fields.get("machine", "")),
            mix=fields.get("mix"),
            near_copies=fields.get("near_copies"),
            train_accuracy=fields.get("train_accuracy"),
            head=fields.get("head"),
            control=fields.get("control"),
            questions=fields.get("questions"),
            told=fields.get("told"),
            exchanged=fields.get("exchanged"),
        )
    except KeyError as error:
        raise BadRunError(f"{where}: a record without {error}.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRunError(f"{where} is not a record: {error}. Restore the file, or delete it and run again.") from None


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a whole number from 0 on")
    return value


def _scores(value: Mapping[str, float]) -> dict[str, float]:
    names = [*SCORES, *([MACRO_F1] if MACRO_F1 in value else [])]
    scores = {name: value[name] for name in names}
    for name, score in scores.items():
        if not 0 <= score <= 1 or math.isnan(score):
            raise ValueError(f"{name}={score!r} is not within 0 and 1")
    return {**scores, "examples": _count(value["examples"])}


def _require_whole_arms(records: Iterable[Record], path: Path) -> None:
    last: dict[tuple[int, str], Record] = {}
    for record in records:
        before = last.get(record.arm)
        expected = before.round + 1 if before else 0
        if record.round < expected:
            raise BadRunError(f"{path}: {_name(record)} is there twice. Two processes wrote to it; run it again.")
        if record.round > expected:
            raise BadRunError(f"{path}: {_name(record)} is there, but round {expected} is missing. Run it again.")
        if before and record.labels <= before.labels:
            raise BadRunError(
                f"{path}: {_name(record)} has {record.labels} labels, the round before had more or as many."
            )
        last[record.arm] = record


def _name(record: Record) -> str:
    return f"Round {record.round} of {record.strategy}, seed {record.seed},"


def _require(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if value is None:
        raise BadRunError(f"{path} is missing. Give a directory that nextlabel simulate wrote.")
    return value


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(leaves: Mapping[str, Any], key: str) -> str:
    return json.dumps(leaves[key], ensure_ascii=False) if key in leaves else "nothing"
