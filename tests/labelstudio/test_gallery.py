"""Label Studio's own templates, as it installs them: which are served, as docs/questions.md lists them."""

import re
from collections.abc import Mapping

import pytest
import yaml

from helpers.paths import ROOT
from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.values.options import LATEST, ProjectOptions

[GALLERY] = ROOT.glob(".venv-label-studio/lib/python3*/site-packages/label_studio/annotation_templates")
SERVED, IN_PART, REFUSED, NO_TEXT = "served", "served in part", "refused", "no text"
REMEDIES = re.compile(
    r"add (one|a control|a transcript|a caption|the words|a description)|all else can stay", re.IGNORECASE
)


def templates() -> Mapping[str, str]:
    """The config of each, by its directory."""
    found = {file.parent.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in GALLERY.rglob("config.yml")}
    return {name: about["config"] for name, about in sorted(found.items()) if about.get("config")}


def outcome(config: str) -> tuple[str, tuple[str, ...]]:
    """What becomes of it, and the sentences that say why."""
    try:
        found = parse_label_config(config, ProjectOptions(defaults=LATEST))
    except RefusedConfigError as error:
        return (NO_TEXT if "shows no text" in str(error) else REFUSED), (str(error),)
    return (IN_PART if found.unlearned or found.left_out else SERVED), found.unlearned


def listed() -> Mapping[str, list[str]]:
    """The templates in the docs, by outcome."""
    guide = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (served|served in part|refused|no text), (\d+) \| (.+?) \|", guide, re.MULTILINE)
    found = {kind: re.findall(r"`([^`]+)`", names) for kind, _, names in rows}
    assert {kind: int(count) for kind, count, _ in rows} == {kind: len(names) for kind, names in found.items()}
    return found


def test_the_docs_list_what_becomes_of_each_template() -> None:
    by_outcome: dict[str, list[str]] = {}
    for name, config in templates().items():
        by_outcome.setdefault(outcome(config)[0], []).append(name)
    assert listed() == by_outcome
    assert sum(map(len, by_outcome.values())) == len(list(GALLERY.rglob("config.yml")))


@pytest.mark.parametrize(("name", "config"), templates().items(), ids=list(templates()))
def test_what_is_not_served_is_named_with_a_remedy_that_takes_nothing_away(name: str, config: str) -> None:
    kind, sentences = outcome(config)
    for sentence in sentences:
        assert re.match(
            r"<\w+( \w+=\"[^\"]*\")+> |The labelling config (asks nothing|shows no text)|<Repeater>", sentence
        ), name
    if kind in (REFUSED, NO_TEXT):
        [why] = sentences
        assert REMEDIES.search(why), why
        assert not re.search(r"\b(remove|delete|replace|separate project)", why, re.IGNORECASE), why
