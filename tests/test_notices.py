"""Each sentence on a project names the thing, the count, a task and the remedy; a healthy project hears none."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from backend import notices
from backend.label_config import LabelConfig, TextField, Vote, parse_label_config, read_task
from backend.notices import Notice, Unknown, on_tasks, on_unknown_words, proposals, told
from backend.options import NO_OPTIONS, ProjectOptions
from backend.pool import Pool
from backend.survey import Survey

XML = """<View>{texts}<Choices name="label" toName="text">{labels}</Choices></View>"""
TEXT = '<Text name="text" value="$text"/>'
PAIR = '<Text name="text" value="$title"/><Text name="body" value="$body"/>'


def config(texts: str = TEXT, labels: Sequence[str] = ("pos", "neg"), options: ProjectOptions = NO_OPTIONS) -> LabelConfig:
    return parse_label_config(XML.format(texts=texts, labels="".join(f'<Choice value="{l}"/>' for l in labels)), options)


def task(number: int, label: str | None = None, result: object = None, origin: str = "manual", **data: object) -> dict[str, object]:
    """A task as Label Studio tells it, labelled if a label or a whole result is given."""
    item = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}, "origin": origin}
    given = [item] if label is not None else result
    annotations = [] if given is None else [{"result": given, "created_at": "2026-11-29T10:00:00Z"}]
    return {"id": number, "data": data or {"text": f"A plain sentence, number {number}."}, "annotations": annotations}


@pytest.fixture
def said(tmp_path: Path):
    """The notices on tasks that are read with a config."""

    def say(read_with: LabelConfig, *tasks: dict[str, object]) -> list[Notice]:
        return list(on_tasks(survey(read_with, *tasks), read_with, 7))

    def survey(read_with: LabelConfig, *tasks: dict[str, object]) -> Survey:
        with Pool(tmp_path / "pool.sqlite") as pool:
            pool.upsert(read_task(read_with, one) for one in tasks)
            return pool.survey()

    say.survey = survey
    return say
