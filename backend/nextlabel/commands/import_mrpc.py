"""Makes a Label Studio project from MRPC: sentence pairs, a gold seed set, a held-out validation set.

Nothing is done to a project that is complete already: run it again with --project as often as you like.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from nextlabel.commands._common import studio_from_settings
from nextlabel.lab.importing import (
    PAIR_CONFIG,
    Imported,
    complete,
    project_url,
)
from nextlabel.simulation.datasets.corpora import download_mrpc, read_mrpc


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and import."""
    parser = argparse.ArgumentParser(prog="nextlabel import-mrpc", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mrpc-dir", type=Path, help="directory of the official files; without it: the hub")
    parser.add_argument("--title", default="MRPC", help="title of the new project (default: %(default)s)")
    parser.add_argument("--start", type=float, default=0.3, help="seed set: a share below 1, or a count (0.3)")
    parser.add_argument("--seed", type=int, default=123, help="of the random seed set (default: %(default)s)")
    parser.add_argument(
        "--project", type=int, help="id of a project that an earlier run did not complete: add what it lacks"
    )
    options = parser.parse_args(arguments)
    studio = studio_from_settings()
    corpus = read_mrpc(options.mrpc_dir) if options.mrpc_dir else download_mrpc()
    print(f"{corpus.source}: {len(corpus.train)} pairs to label, {len(corpus.holdout)} held out")
    project = studio.create_project(options.title, PAIR_CONFIG) if options.project is None else options.project
    print(f"Project {project}: {project_url(studio, project)}")
    # At once, for a run that is killed has then named the project.
    print(f"Should the import break off, run it again with the same options and --project {project}.", flush=True)
    with tqdm(total=len(corpus.train) + len(corpus.holdout), unit="task") as bar:
        done = complete(studio, project, corpus, options.start, options.seed, lambda done, _: bar.update(done - bar.n))
    _tell(done)
    print(f"Next: nextlabel connect --project {project}")


def _tell(done: Imported) -> None:
    print(f"Complete, as read back from Label Studio: {done.held.tasks} tasks, {done.held.annotations} labels.")
    if done.lost:
        print(
            f"Label Studio had dropped {done.lost} labels, because something else was writing; they were added again."
        )
    if done.relabelled:
        print(f"{done.relabelled} tasks have another label than MRPC gives them; it was left as it is.")
    if done.unanswered:
        print(
            f"{done.unanswered} of the requests had no answer in time. Should tasks turn up twice, run this again "
            f"with --project {done.project}: it takes the second ones away."
        )
