"""Certifies that at most so many of a version's labels are wrong, by an audit: random tasks, labelled in a row.

start   freeze what the queue follows, and have the queue hold the audit's tasks alone; --dry-run says what it takes
status  how far the last audit is
issue   write the certificate of the labels given so far; exit code 1 if it is outdated already
verify  compute a certificate again from the project's records; exit code 1 if anything in it is not so
stop    let fits go on, after a certificate or instead of one; what the audit has spent of the risk is spent
"""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, studio_from_settings, write_json
from nextlabel.errors import BadAuditError
from nextlabel.learning.audit import MOST_LABELS, RISK, allowed
from nextlabel.learning.certificate import Audit, Certified
from nextlabel.loop.auditing import hopeless
from nextlabel.loop.certifying import Auditor
from nextlabel.settings import load_settings
from nextlabel.simulation.audits import LOOKED_AT, labels_for, labels_to_allow, wrong_in
from nextlabel.store.jobs import JobQueue
from nextlabel.versions.registry import Registry

OF_THE_RISK = (0.2, 0.4, 0.6)  # shares wrong of which it is said what they take
CHANCES, MANY = (0.5, 0.9), f"more than {LOOKED_AT}"


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and do what it says; returns the exit code."""
    options = _options(arguments)
    settings = load_settings()
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
    auditor = Auditor(settings, Registry(settings.model_dir), studio_from_settings(), jobs, options.project)
    if options.action == "start":
        _start(auditor, options)
    elif options.action == "status":
        found, why = auditor.status()
        print(f"{found.message}; {f'ended, as {why}' if why else 'it runs'}.")
    elif options.action == "stop":
        auditor.stop()
        print(f"No audit of project {options.project} runs any more, and fits go on.")
    elif options.action == "issue":
        return _issue(auditor, options.out, options.labels)
    else:
        return _verify(auditor, options.file)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("nextlabel certificate", __doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    start = actions.add_parser("start", help="begin an audit of what the queue follows")
    start.add_argument("--labels", type=positive, default=MOST_LABELS, help="how many at most (%(default)s)")
    start.add_argument("--risk", type=_share, default=RISK, help="the share that may be wrong (%(default)s)")
    start.add_argument("--question", default="", metavar="NAME", help="of a form this one alone, not all at once")
    start.add_argument("--dry-run", action="store_true", help="begin nothing, only say what it takes")
    status = actions.add_parser("status", help="how far the last audit is")
    stop = actions.add_parser("stop", help="let fits go on")
    issue = actions.add_parser("issue", help="write its certificate")
    issue.add_argument("--out", type=Path, required=True, metavar="FILE")
    issue.add_argument("--labels", type=Path, metavar="FILE", help="write the labels that it is about, too, as CSV")
    verify = actions.add_parser("verify", help="compute a certificate again")
    verify.add_argument("file", type=Path, metavar="FILE")
    for action in (start, status, stop, issue, verify):
        action.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    return parser.parse_args(arguments)


def _share(text: str) -> float:
    try:
        if 0 < float(text) < 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1, such as 0.05")


def _start(auditor: Auditor, options: argparse.Namespace) -> None:
    audit = (auditor.plan if options.dry_run else auditor.start)(options.labels, options.risk, options.question)
    for line in takes(audit):
        print(line)
    if not options.dry_run:
        print(f"Audit {audit.number} has begun: the queue holds its tasks alone, and nothing is fitted until it ends.")


def takes(audit: Audit) -> Iterator[str]:
    """What the audit is about, and how many labels it takes; what cannot be had of so few tasks, or with so few labels,
    is said."""
    level, risk, tasks, needed = audit.plan.level, audit.risk, len(audit.ids_N), audit.needed
    given = f"answers to {' and '.join(audit.asks)}" if audit.asks else "labels"
    most, first = audit.asked_for, audit.plan.parts[0].size
    yield (
        f"Audit {audit.number} of project {audit.project} asks whether at most {100 * risk:g} % of the {given} that "
        f"{audit.version} gives to {_many(tasks, 'task')}, or to the surest of them, are wrong. It takes "
        f"{_many(most, 'label')} at most."
    )
    yield hopeless(audit) or f"If none is wrong, about {needed} are enough. {_tested_first(first)}."
    at_most = allowed(first, risk)
    yield f"Not possible if {f'more than {at_most} of them are' if at_most else 'any of them is'} wrong."
    if needed < tasks:
        yield (
            "By how many of the tasks that are tested first are wrong, the least --labels for a chance of one half or "
            "of nine tenths (with more labels fewer tasks are tested first, so that more is not always better):"
        )
        for share in (of * risk for of in OF_THE_RISK):
            either = labels_to_allow(audit.confidences_N, share, level, risk, CHANCES)
            here = labels_for(tasks, first, wrong_in(first, share), level, risk, CHANCES, most)
            labels = " or ".join(dict.fromkeys(str(labels or MANY) for labels in either))
            yield f"  {100 * share:.2g} % wrong: {labels}; with {most} the chance is {_chance(*here)}"


def _tested_first(first: int) -> str:
    return "The surest task is tested first" if first == 1 else f"The {first} surest tasks are tested first"


def _many(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _chance(half: int | None, nine_tenths: int | None) -> str:
    """In words, where so many of the labels allowed do with a chance of one half and of nine tenths; None: not all."""
    if half is None:
        return "less than one half"
    return "one half or more" if nine_tenths is None else "nine tenths or more"


def _issue(auditor: Auditor, out: Path, labels_file: Path | None) -> int:
    certificate, labels, (wrong, to_know) = auditor.issue()
    try:
        write_json(out, certificate)
        if labels_file:
            labels_file.parent.mkdir(parents=True, exist_ok=True)
            with labels_file.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([Certified._fields, *labels])
    except OSError as error:
        raise BadAuditError(
            f"It cannot be written ({error}). Name files where you may write, outside of other files."
        ) from None
    written = f"Written to {out}{f', the labels to {labels_file}' if labels_file else ''}."
    said = certificate["claim"], certificate["result"]["unknown"], written, *wrong, *to_know
    print(*filter(None, said), sep="\n")
    return int(bool(wrong))


def _verify(auditor: Auditor, file: Path) -> int:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # the last one of brackets in brackets in ..
        raise BadAuditError(f"{file} holds no certificate ({error}). Name a file that `issue` wrote.") from None
    wrong, to_know = auditor.verify(found)
    for sentence in [*(wrong or [f"All of it is so, and in force. {found['claim']}"]), *to_know]:
        print(sentence)
    return int(bool(wrong))
