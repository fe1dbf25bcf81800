"""Measures what comes of connecting a project that is half labelled, beside what `connect --preview` says of it.

Starts its own Label Studio and backend, and fetches a public corpus. The machine should do nothing else. Linux only.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import default_model, new_parser, positive
from nextlabel.errors import of_extra


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and measure, which prints."""
    from nextlabel.simulation.datasets.public import CORPORA

    parser = new_parser("nextlabel measure-connecting", __doc__)
    names = [name for name, corpus in CORPORA.items() if corpus.form is None]
    parser.add_argument("--corpus", choices=names, default="tweets", help="whose texts (default: %(default)s)")
    parser.add_argument("--tasks", type=positive, default=20_000, help="of the project (default: %(default)s)")
    parser.add_argument("--labels", type=positive, default=10_000, help="that are there (default: %(default)s)")
    parser.add_argument("--base-model", type=Path, help="a checkpoint (default: the demo's)")
    options = parser.parse_args(arguments)
    if options.labels > options.tasks:
        parser.error(f"{options.tasks} tasks cannot have {options.labels} labels")
    with of_extra("lab", "nextlabel measure-connecting"):
        from nextlabel.lab.measure_connecting import measure

    measure(options.corpus, options.tasks, options.labels, options.base_model or Path(default_model()))
