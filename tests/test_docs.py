"""The pages for people: links lead somewhere, the first page stays short, and numbers are those of the reports."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from nextlabel.lab.benchmark.report import markers, to_markdown
from nextlabel.simulation import count_study
from nextlabel.simulation.blocks import Paragraph, block_md
from nextlabel.simulation.count_report import read_count_study
from nextlabel.simulation.study import headlines, read_study

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "reports/README.md")),
    *DOCS,
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FIRST = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^()\s]+)\)")


def without_code(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```$|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path, root: Path = ROOT) -> Iterator[str]:
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.is_relative_to(root) or not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_and_every_picture_is_there(page: Path) -> None:
    assert list(dead_links(page)) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, with `code`\n\n[here](#a-heading-with-code) [gone](#gone) ![picture](none.png) [file](page.md)\n"
        "[out](../out.md) [web](https://example.com)\n\n```sh\n[not](a-link)\n```\n",
        encoding="utf-8",
    )
    assert list(dead_links(page, tmp_path)) == ["#gone", "none.png", "../out.md"]


def test_every_test_that_a_page_names_is_there() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    there = {path.name for path in files}
    for path in files:
        there |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    named = [(page.name, name) for page in DOCS for name in re.findall(r"`(test_[\w.]+)`", page.read_text("utf-8"))]
    assert len(named) > 100
    assert [(page, name) for page, name in named if name not in there] == []


def test_the_first_page_stays_short() -> None:
    assert len(FIRST.splitlines()) <= 130
    assert len(FIRST.split()) <= 900


def test_the_first_page_has_a_screenshot_that_loads_fast() -> None:
    assert "](docs/page.png)" in FIRST
    assert (ROOT / "docs" / "page.png").stat().st_size < 300_000


def test_the_index_names_every_page_once() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    named = [target for target in LINK.findall(index) if "/" not in target]
    assert sorted(named) == [page.name for page in DOCS if page.name != "README.md"]


def test_the_benchmark_on_the_page_is_the_one_of_the_report() -> None:
    result = json.loads((ROOT / "reports" / "benchmark-cpu.json").read_text(encoding="utf-8"))
    start, end = markers()
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert page.partition(start)[2].partition(end)[0] == f"\n{to_markdown(result)}\n"


@pytest.mark.parametrize("corpus", ["comments", "tweets"])
def test_what_the_page_says_of_label_counts_is_what_the_records_say(corpus: str) -> None:
    page = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
    found = page.partition(f"<!-- results:{corpus} -->")[2].partition("<!-- /results -->")[0]
    study = read_count_study([ROOT / "reports" / corpus])
    said = [block_md(Paragraph(line, strong=True)) for line in count_study.headlines(study)]
    assert [line for line in found.splitlines() if line.startswith("**")] == said


@pytest.mark.parametrize(("block", "run"), [("reviews", "reviews-even"), ("mrpc", "mrpc-minilm")])
def test_what_the_page_says_of_savings_is_what_the_records_say(block: str, run: str) -> None:
    page = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
    found = page.partition(f"<!-- results:{block} -->")[2].partition("<!-- /results -->")[0]
    assert [line for line in found.splitlines() if line.startswith("**")] == [
        f"**{line}**" for line in headlines(read_study([ROOT / "reports" / run]))
    ]
