"""Makes a Label Studio project from a corpus of sentence pairs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backend.corpora import LABELS, Corpus, Pair, seed_rows
from backend.studio import Studio

# toName names one text: with two, Label Studio's editor would lose the labels.
PAIR_CONFIG = f"""<View>
  <Header value="Do these two sentences say the same?"/>
  <Text name="sentence1" value="$sentence1"/>
  <Text name="sentence2" value="$sentence2"/>
  <Choices name="label" toName="sentence1" choice="single-radio" showInline="true">
    <Choice value="{LABELS[0]}" hotkey="1"/>
    <Choice value="{LABELS[1]}" hotkey="2"/>
  </Choices>
</View>"""
BATCH = 1000  # tasks per request


def import_corpus(
    studio: Studio,
    corpus: Corpus,
    title: str,
    start: float,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Make the project; returns its id.

    A random seed set (`start`: a share below 1, or a count) comes with its gold labels, and so does the holdout,
    which carries `split` = `validation` and is never in the pool and never trained on.
    """
    project = studio.create_project(title, PAIR_CONFIG)
    seeds = seed_rows(corpus.train, start, seed)
    tasks = [_task(pair, "train", labelled=pair.row in seeds) for pair in corpus.train]
    tasks += [_task(pair, "validation", labelled=True) for pair in corpus.holdout]
    done = 0
    for batch in _batches(tasks):
        done += studio.import_tasks(project, batch)
        progress(done, len(tasks))
    return project


def _task(pair: Pair, split: str, labelled: bool) -> dict[str, Any]:
    data = {"sentence1": pair.sentence1, "sentence2": pair.sentence2, "row": pair.row, "split": split}
    return {"data": data, "annotations": [{"result": result_of(pair.label)}]} if labelled else {"data": data}


def result_of(label: str) -> list[dict[str, Any]]:
    """The annotation result that Label Studio's editor would submit for this label."""
    return [{"from_name": "label", "to_name": "sentence1", "type": "choices", "value": {"choices": [label]}}]


def _batches(tasks: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(tasks), BATCH):
        yield tasks[start : start + BATCH]
