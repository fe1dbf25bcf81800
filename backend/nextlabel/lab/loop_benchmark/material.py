"""Corpora as projects that people label: any classes, texts or pairs of texts."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from xml.sax.saxutils import quoteattr

from nextlabel.errors import BadCorpusError, IncompleteImportError
from nextlabel.labelstudio.client import Counts, LabelStudioClient
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.tasks import result_of
from nextlabel.simulation.datasets.textsets import Labelled, TextSet

BATCH = 250  # tasks per request


@dataclass(frozen=True)
class Material:
    """What is imported: `start` tasks of the pool come labelled, and so do those held out."""

    data: TextSet
    start: int

    @property
    def gold(self) -> dict[int, str]:
        """The right label of each task of the pool by its `row`."""
        return {example.id: label for example, label in self.data.train}

    @property
    def config_xml(self) -> str:
        """The labelling config: one choice of all classes."""
        texts = "\n".join(f'  <Text name="{name}" value="${name}"/>' for name in self._fields())
        choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in self.data.labels)
        return f"""<View>
{texts}
  <Choices name="label" toName="text" choice="single-radio">
{choices}
  </Choices>
</View>"""

    @cached_property
    def config(self) -> LabelConfig:
        """The same, as it is read."""
        return parse_label_config(self.config_xml)

    def _fields(self) -> Sequence[str]:
        return ("text", "pair") if any(example.pair for example, _ in self.data.train) else ("text",)

    def tasks(self) -> Iterator[dict[str, Any]]:
        """As they are imported. The labelled ones are drawn, always the same."""
        drawn = set(random.Random(0).sample(range(len(self.data.train)), self.start))
        for place, row in enumerate(self.data.train):
            yield self._task(row, "train", place in drawn)
        for row in self.data.dev:
            yield self._task(row, "validation", labelled=True)

    def _task(self, row: Labelled, split: str, labelled: bool) -> dict[str, Any]:
        example, label = row
        data = {"text": example.text, "pair": example.pair, "row": example.id, "split": split}
        task = {"data": {name: value for name, value in data.items() if value is not None}}
        return {**task, "annotations": [{"result": result_of(self.config, label)}]} if labelled else task


def of_size(data: TextSet, pool: int | None, start: int, needed: int) -> Material:
    """The first `pool` texts, or all of them. Raises `BadCorpusError` when people would come to their end: they label
    `needed` besides the `start` ones."""
    there = len(data.train)
    if pool is not None and pool > there:
        raise BadCorpusError(f"{data.source} has {there} texts to label, not {pool}. Give a smaller --pool.")
    size = there if pool is None else pool
    if size < start + needed:
        raise BadCorpusError(
            f"{size} texts of {data.source} are too few for {start} labels at the start and about {needed} more. Give "
            "a larger corpus, fewer --seconds, or a longer --pace."
        )
    return Material(replace(data, train=data.train[:size]), start)


def make_project(studio: LabelStudioClient, material: Material, title: str) -> int:
    """A project that holds it; its id. Nothing else may write meanwhile: see `lab.importing`.

    Raises `IncompleteImportError` when Label Studio created less.
    """
    project, tasks = studio.create_project(title, material.config_xml), list(material.tasks())
    for first in range(0, len(tasks), BATCH):
        batch = tasks[first : first + BATCH]
        sent = Counts(len(batch), sum("annotations" in task for task in batch))
        created = studio.import_tasks(project, batch)
        if created != sent:
            raise IncompleteImportError(f"Label Studio created {created} of {sent}. Start the measurement again.")
    return project
