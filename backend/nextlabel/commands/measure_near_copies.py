"""Measures from where on two texts count as near-copies, by the cosine of their embeddings and by their words.

On MRPC's pairs of sentences, of which those that do not say the same must not be held back, and on 100 questions in
four variants each, of which one at a time should be served.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, write_text
from nextlabel.simulation import near_copy_curve
from nextlabel.simulation.datasets.corpora import read_mrpc


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, measure, print the curve."""
    parser = new_parser("nextlabel measure-near-copies", __doc__)
    parser.add_argument("--mrpc-dir", type=Path, required=True, metavar="DIR", help="of the official files")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the curve there, too")
    options = parser.parse_args(arguments)
    points = near_copy_curve.measure(read_mrpc(options.mrpc_dir), options.base_model)
    made_by = f"Made by `{shlex.join(['nextlabel', 'measure-near-copies', *arguments])}`."
    text = f"# From where on texts are near-copies\n\n{near_copy_curve.to_markdown(points)}\n\n{made_by}\n"
    write_text(options.out, text)
    print(text)
