"""The pages for people: links lead somewhere, the first page stays short, and numbers are those of the reports."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from helpers.sentences import quoted_in, said_in, unsaid
from nextlabel.lab.benchmark.report import markers, to_markdown
from nextlabel.simulation import corpora_report, count_report, told_report
from nextlabel.simulation.blocks import Paragraph, block_md
from nextlabel.simulation.corpora_study import CorporaStudy
from nextlabel.simulation.study import headlines, read_study
from nextlabel.store.summary import STATES

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


@cache
def program() -> str:
    """All that it can say."""
    places = ((ROOT / "backend", "*.py"), (ROOT / "backend", "*.html"), (ROOT / "scripts", "setup"))
    return said_in(*(file for directory, names in places for file in directory.rglob(names)))


TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
OF_OTHERS = "externally-managed-environment"


@pytest.mark.parametrize("sentence", quoted_in(TROUBLES))
def test_what_a_page_quotes_is_still_said(sentence: str) -> None:
    assert sentence == OF_OTHERS or unsaid(sentence, program()) == []


def test_a_sentence_that_nobody_says_is_found(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text(
        "def f(n):\n    return f'{n} tasks {\"is\" if n == 1 else \"are\"} never read, ' + 'as they are old'\n"
    )
    assert quoted_in(
        "> 3 tasks are never\n> read, as they are old.\n\n| sentence | why |\n|---|---|\n| No more | x |\n"
    ) == [
        "3 tasks are never read, as they are old.",
        "No more",
    ]
    assert unsaid("3 tasks are never read, as they are old.", said_in(source)) == []
    assert unsaid("3 tasks are never read, as they were too old.", said_in(source)) == ["as they were too old"]


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


def test_every_state_of_a_project_is_explained() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z ,]+) \| ", page, re.MULTILINE)
    assert {state for row in rows for state in row.split(", ")} >= set(STATES)


# What the pages say that simulations have shown

REPORTS = Path("reports")
OVER_CORPORA = REPORTS / "README.md"


def said_of(block: str, page: Path = Path("docs/simulation.md")) -> str:
    """What a page holds in a block of results."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count(f"<!-- results:{block} -->\n") == 1
    return text.partition(f"<!-- results:{block} -->\n")[2].partition("\n<!-- /results -->")[0]


def command_over_corpora() -> tuple[str, list[Path]]:
    """What stands between its name and --out, and the pages that it renews."""
    said = said_of("corpora", OVER_CORPORA)
    [(before, after)] = re.findall(r"^nextlabel report-corpora (.+) --out reports( .+)?$", said, re.MULTILINE)
    return before, [Path(page) for page in after.split(" --readme ")[1:]]


@cache
def over_corpora() -> tuple[CorporaStudy, list[Path]]:
    """The records of the runs that the page over corpora names in its command, and where they are."""
    runs, *frozen = (list(map(Path, shlex.split(part))) for part in command_over_corpora()[0].split(" --frozen "))
    report = corpora_report.read_report([ROOT / run for run in runs], [ROOT / file for (file,) in frozen])
    named = [replace(file, path=file.path.relative_to(ROOT)) for file in report.frozen]  # as the command has them
    return replace(report, frozen=named), runs


def test_what_is_said_over_corpora_is_what_the_records_say() -> None:
    report, runs = over_corpora()
    assert said_of("corpora", OVER_CORPORA) == corpora_report.block(report, runs, REPORTS, command_over_corpora()[1])


SHORT = [
    page
    for page in PAGES
    if page != ROOT / OVER_CORPORA and "<!-- results:corpora -->\n" in page.read_text(encoding="utf-8")
]


def test_the_command_over_corpora_renews_every_page_that_has_its_table() -> None:
    assert sorted(ROOT / page for page in command_over_corpora()[1]) == sorted(SHORT)


@pytest.mark.parametrize("page", SHORT, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_table_of_corpora_is_what_the_records_say(page: Path) -> None:
    assert said_of("corpora", page) == corpora_report.short(over_corpora()[0], ROOT / REPORTS, page)


def test_every_public_corpus_that_was_played_is_among_them() -> None:
    played = {path.parent.name for path in (ROOT / REPORTS).glob("*/targets.json")}
    named = {run.name for run in over_corpora()[1]}
    assert named == played - {"comments"}, "which asks two questions, and was played to show that"


def test_what_a_lead_would_have_been_told_is_what_the_records_say() -> None:
    page, _, command = (ROOT / REPORTS / "told.md").read_text(encoding="utf-8").partition("\nMade by `")
    runs = shlex.split(command.partition("`")[0])[2:]
    assert page == told_report.to_markdown([told for run in runs for told in told_report.read(ROOT / run)])


@pytest.mark.parametrize("corpus", ["comments", "r8", "tweets"])
def test_what_the_page_says_of_label_counts_is_what_the_records_say(corpus: str) -> None:
    found = said_of(corpus)
    sentences = count_report.read_report([ROOT / REPORTS / corpus]).sentences
    said = [block_md(Paragraph(line, strong=True)) for line in sentences]
    assert [line for line in found.splitlines() if line.startswith("**")] == said


@pytest.mark.parametrize(("block", "run"), [("reviews", "reviews-even"), ("mrpc", "mrpc-minilm")])
def test_what_the_page_says_of_savings_is_what_the_records_say(block: str, run: str) -> None:
    found = said_of(block)
    assert [line for line in found.splitlines() if line.startswith("**")] == [
        f"**{line}**" for line in headlines(read_study([ROOT / "reports" / run]))
    ]
