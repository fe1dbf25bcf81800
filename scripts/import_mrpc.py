#!/usr/bin/env python3
"""Makes a Label Studio project from MRPC: sentence pairs, a gold seed set, a held-out validation set."""

import argparse
from pathlib import Path

from _script import run, studio_from_settings
from tqdm import tqdm

from backend.corpora import download_mrpc, read_mrpc
from backend.importing import import_corpus


def main() -> None:
    """Parse the command line and import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mrpc-dir", type=Path, help="directory of the official files; without it: the hub")
    parser.add_argument("--title", default="MRPC", help="title of the project (default: %(default)s)")
    parser.add_argument("--start", type=float, default=0.3, help="seed set: a share below 1, or a count (0.3)")
    parser.add_argument("--seed", type=int, default=123, help="of the random seed set (default: %(default)s)")
    options = parser.parse_args()
    studio = studio_from_settings()
    corpus = read_mrpc(options.mrpc_dir) if options.mrpc_dir else download_mrpc()
    print(f"{corpus.source}: {len(corpus.train)} pairs to label, {len(corpus.holdout)} held out")
    with tqdm(total=len(corpus.train) + len(corpus.holdout), unit="task") as bar:
        project = import_corpus(
            studio, corpus, options.title, options.start, options.seed, lambda done, _: bar.update(done - bar.n)
        )
    print(f"Project {project}: {studio.url}/projects/{project}")
    print(f"Next: scripts/connect_project.py --project {project}")


if __name__ == "__main__":
    run(main)
