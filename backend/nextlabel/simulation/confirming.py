"""Which corpora may confirm a default that a file froze before they were played, by what the file says of them.

Unlike `frozen_default`, which plays such a file, it reads those of other builds, too: it asks for no option.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nextlabel.errors import BadRunError
from nextlabel.simulation.count_study import CountStudy
from nextlabel.simulation.datasets.fetched import MRPC
from nextlabel.simulation.datasets.public import CORPORA
from nextlabel.simulation.provenance import listing

NAMES = {**{corpus.title: name for name, corpus in CORPORA.items()}, "MRPC": MRPC}  # as files that froze call them


@dataclass(frozen=True)
class FrozenFile:
    """What a file says of corpora: which are to confirm the default, with the fingerprints of their texts, and for each
    option those it was chosen on."""

    path: Path
    sha256: str
    frozen_on: str
    confirming: Mapping[str, str]
    chosen_on: Mapping[str, Sequence[str]]

    def chosen(self, corpus: str) -> list[str]:
        """The options that were chosen on a corpus."""
        return [option for option, corpora in self.chosen_on.items() if corpus in corpora]


def corpus_of(study: CountStudy) -> str:
    """What files that froze call the corpus of a run, by its title: a directory may be called anything."""
    return NAMES.get(study.named, study.named)


def confirmed(studies: Mapping[str, CountStudy], files: Sequence[FrozenFile]) -> list[str]:
    """The runs, by their directories' names, that a file names as confirming, and that began after it was frozen."""
    known = {file.sha256: file for file in files}
    return [
        name
        for name, study in studies.items()
        if (file := known.get(str(study.run.setting.get("frozen")))) and _confirms(file, study)
    ]


def _confirms(file: FrozenFile, study: CountStudy) -> bool:
    is_of_same_texts = study.run.setting["data"].get("fingerprint") == file.confirming.get(corpus_of(study), "")
    return is_of_same_texts and not _begun_before(study, file.frozen_on)


def read(path: Path) -> FrozenFile:
    """Raises `BadRunError` when it is no such file."""
    try:
        content = path.read_bytes()
        told = json.loads(content)
        corpora = told["corpora"]
        return FrozenFile(
            path,
            hashlib.sha256(content).hexdigest(),
            str(told["frozen_on"]),
            {str(name): str(fingerprint) for name, fingerprint in corpora["confirming"].items()},
            {str(option): tuple(names) for option, names in corpora["chosen_on"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRunError(
            f"--frozen {path} cannot be read as a frozen default: {error!r}. Give another file."
        ) from None


def doubts(studies: Mapping[str, CountStudy], files: Sequence[FrozenFile]) -> Iterator[str]:
    """What runs, by their directories' names, can confirm: sentences, those that can confirm nothing first."""
    frozen = {name: str(study.run.setting.get("frozen") or "") for name, study in studies.items()}
    known = {file.sha256: file for file in files}
    early = [name for name, checksum in frozen.items() if not checksum]
    if early:
        yield f"Not played with a default that was frozen before, hence to explore, not to confirm: {listing(early)}."
    untold = [name for name, checksum in frozen.items() if checksum and checksum not in known]
    if untold:
        yield (
            "Played with a frozen default whose file was not given (--frozen), so whether it was chosen on these "
            f"corpora is unknown, and they do not count as confirming: {listing(untold)}."
        )
    for file in files:
        played = {name: study for name, study in studies.items() if frozen[name] == file.sha256}
        if played:
            yield from _by_file(file, played)


def _by_file(file: FrozenFile, studies: Mapping[str, CountStudy]) -> Iterator[str]:
    corpora = {name: corpus_of(study) for name, study in studies.items()}
    before = [name for name, study in studies.items() if _begun_before(study, file.frozen_on)]
    chosen = {name: file.chosen(corpus) for name, corpus in corpora.items()}
    confirming = [name for name, study in studies.items() if _confirms(file, study)]
    otherwise = [name for name in corpora if corpora[name] in file.confirming and name not in (*before, *confirming)]
    others = [name for name in corpora if name not in (*before, *confirming, *otherwise)]
    exploring, unnamed = ([name for name in others if bool(chosen[name]) is some] for some in (True, False))
    if before:
        yield f"Begun before {file.path.name} was frozen on {file.frozen_on}, hence not to confirm: {listing(before)}."
    if otherwise:
        named = f"the corpora that {file.path.name} names"
        yield f"Of other texts than {named}, hence not to confirm: {listing(otherwise)}."
    if exploring:
        used = "; ".join(f"{name} ({listing(chosen[name])})" for name in exploring)
        yield f"Used to choose options of {file.path.name}, hence to explore, not to confirm: {used}."
    if confirming:
        also = {name: f" (though {listing(of)} {_were(of)} chosen on it)" if of else "" for name, of in chosen.items()}
        named = "; ".join(name + also[name] for name in confirming)
        yield f"Named in {file.path.name} as confirming corpora: {named}."
    if unnamed:
        kept = f"{file.path.name} does not name these corpora, as it would not name one that was kept back"
        yield f"{kept}: {listing(unnamed)}."
    yield f"Only the commit of {file.path.name}, not these records, shows that it was written before the runs."


def _were(options: Sequence[str]) -> str:
    return "was" if len(options) == 1 else "were"


def _begun_before(study: CountStudy, frozen_on: str) -> bool:
    """By its starts, as far as the file tells the time: 2026-11-30, or 2026-11-30T06:56 of UTC."""
    started = [str(start.get("started") or frozen_on) for start in study.run.invocations]
    return any(moment[: len(frozen_on)] < frozen_on for moment in started)
