"""Plays the experiment through Label Studio: simulated annotators label what its queue serves, the live loop refits.

The project is one of nextlabel import-mrpc, connected by nextlabel connect, with the backend on this machine
and the same environment (.env) as it: LABEL_STUDIO_API_KEY, MODEL_DIR, SEED, FIT_EVERY. Writes the same records as
nextlabel simulate; with --compare DIR it says whether an offline run of the same seed chose the same tasks.
"""

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive
from nextlabel.lab.live import Loop, api_keys, first_differences, play, require_plain_order
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.settings import load_settings
from nextlabel.simulation import records
from nextlabel.simulation.datasets import corpora
from nextlabel.simulation.records import Record
from nextlabel.versions.registry import Registry


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, compare."""
    parser = new_parser("nextlabel simulate-live", __doc__)
    parser.add_argument("project", metavar="PROJECT_URL", help="such as http://localhost:8080/projects/7")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files (default: the hub)")
    data.add_argument("--own-pairs", action="store_true", help="the 640 pairs that come with Nextlabel")
    parser.add_argument(
        "--rounds", type=positive, metavar="N", help="batches to label (default: until the queue is empty)"
    )
    parser.add_argument("--annotators", type=Path, metavar="FILE", help="API keys, one a line, each an annotator")
    parser.add_argument("--out", type=Path, default=Path("runs/live"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--compare", type=Path, metavar="DIR", help="an offline run of the same setting and seed")
    options = parser.parse_args(arguments)
    address = re.match(r"(https?://.+)/projects/(\d+)", options.project)
    if address is None:
        parser.error(f"{options.project!r} is not a project's address, such as http://localhost:8080/projects/7")
    settings = load_settings()
    keys = [settings.label_studio_api_key.get_secret_value()]
    if options.annotators:
        keys = api_keys(options.annotators)
    offline = records.read_run(options.compare) if options.compare else None
    require_plain_order(settings, Registry(settings.model_dir), int(address[2]))
    loop = Loop([LabelStudioClient(address[1], key) for key in keys], int(address[2]), settings.model_dir)
    command = shlex.join(["nextlabel", "simulate-live", *arguments])
    done = play(loop, corpus(options), settings.seed, settings.fit_every, options.rounds, options.out, command, show)
    print(f"Rounds: {options.out / records.ROUNDS}")
    if offline is not None:
        played = records.read_run(options.out)
        records.require_same(offline.setting, played.setting, str(options.compare), str(options.out))
        same_arm = [record for record in offline.rounds if record.arm == done[0].arm]
        print("\n".join(first_differences(done, same_arm)) or f"{options.compare} has no rounds of {done[0].arm}")


def corpus(options: argparse.Namespace) -> corpora.Corpus:
    """The labels that the annotators know."""
    if options.own_pairs:
        return corpora.own_pairs()
    return corpora.read_mrpc(options.mrpc_dir) if options.mrpc_dir else corpora.download_mrpc()


def show(record: Record) -> None:
    """One line a round."""
    score = f"combined {record.dev['combined']:.3f} on dev" + (
        f", {record.test['combined']:.3f} on test" if record.test else ""
    )
    print(f"round {record.round}: {record.labels} labels, {score}", flush=True)
