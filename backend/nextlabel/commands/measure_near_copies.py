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

# What the columns are, and what the rule mistakes.
READ = """\
Pairs: the share of MRPC's pairs (all its parts) of which the second sentence waits for the first. The other columns:
how many of the first 40 questions served are different, of 100 questions in four variants each, which rank in a row;
10 where nothing waits. The variants ([their code](../backend/nextlabel/simulation/datasets/questions.py)):

- `polite`: greetings, a slip, halves turned round. The rule was set on these.
- `numbers` (a ticket's number, other greetings) and `framed` (a sentence before and after, "urgent", "our" for "my"):
  made to break the rule of that day, which served 20 and 29 different ones. That long numbers say nothing
  was decided by them.
- `orders` (an order's number, "anybody know", a signature) and `facts` ("#7", "waiting for 5 days"): written before
  the rule was changed, which served 20 and 25 of them, and not used to set it but for one thing: that a number that
  only one text has is a word like any other.

What it mistakes. Another word in place of one ("our" for "my") makes another text, however common both are: to let it
pass would hold back 4 % of the pairs that differ. A number of up to three digits that one text alone has makes
another text unless it is common in the pool. Longer ones say nothing, so that "the report of 2023" waits for that of
2024. Of signs only emojis, faces such as ":-)", ";)" and "=(", "+" and "-" before a number, and "+" and "#" after a
word tell apart, by which there are, not by how many: "you are open today?" waits for "you are open today.". Stars,
ticks, arrows and the like, with which the points of lists begin, say nothing. The usual words of negation are known in
English, German, French and Spanish, in no other language; other opposites ("legal", "illegal") are other words, if
they are rare. Words of which one is a slip away from another that twice as many texts have are taken for slips:
"casual" for "causal". A sentence in a script without blanks is one word, so that there only copies and the cosine
tell. The cosines are those of the checkpoint below alone; another one's may lie elsewhere. Who waits, waits until a
version knows the other's label, and comes back with a value of its own.
"""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, measure, print the curve."""
    parser = new_parser("nextlabel measure-near-copies", __doc__)
    parser.add_argument("--mrpc-dir", type=Path, required=True, metavar="DIR", help="of the official files")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the curve there, too")
    options = parser.parse_args(arguments)
    points = near_copy_curve.measure(read_mrpc(options.mrpc_dir), options.base_model)
    made_by = f"Made by `{shlex.join(['nextlabel', 'measure-near-copies', *arguments])}`."
    text = f"# From where on texts are near-copies\n\n{near_copy_curve.to_markdown(points)}\n\n{READ}\n{made_by}\n"
    write_text(options.out, text)
    print(text)
