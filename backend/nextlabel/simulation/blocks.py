"""A short report as blocks, written as Markdown and as one HTML page that loads nothing. Knows no statistics."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nextlabel.errors import BadRunError
from nextlabel.values import markdown


@dataclass(frozen=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Plain text; `strong` for the one that must not be missed."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Items:
    """A list of plain texts."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows as wide as the head; the first column names the row."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Code:
    """Text to be copied as it is."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure: `NAME.svg` beside the report, `svg` its content, `alt` what one would see."""

    name: str
    svg: str
    alt: str
    caption: str


Block = Heading | Paragraph | Items | Table | Code | Picture

STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1a1a1a; }
body { font: 16px/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 0.6rem; border-bottom: 1px solid #ccc; padding-bottom: 0.2rem; }
p, li { max-width: 46rem; }
p.strong { font-size: 1.1rem; border-left: 4px solid #0072b2; padding: 0.3rem 0 0.3rem 0.9rem; }
figure { margin: 1.2rem 0; }
figure svg { width: 100%; min-width: 30rem; height: auto; }
figcaption, caption { color: #444; font-size: 0.9rem; text-align: left; padding: 0.3rem 0; }
caption { position: sticky; left: 0; max-width: calc(100vw - 2.5rem); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; margin: 0.8rem 0; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th:first-child { text-align: left; }
thead th { border-bottom: 2px solid #555; }
pre { background: #f5f5f5; padding: 0.7rem 0.9rem; font-size: 0.82rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) { td { white-space: nowrap; } }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; }
  figure svg { min-width: 0; } }
""".strip()


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """The report with its figures linked as files next to it."""
    return "\n\n".join([f"# {_md(title)}", *map(block_md, blocks)]) + "\n"


def find_block(page: Path, start: str, end: str, what: str) -> tuple[str, str]:
    """What stands before and after a block of a page, which begins with the line `start` and ends with the line `end`.

    Raises `BadRunError` when the page cannot be read or has not both lines once, in their order; `what` is to go there.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRunError(f"Cannot read {page}: {error.strerror}. Give another --readme.") from None
    before, found, rest = text.partition(start)
    block, ended, after = rest.partition(end)
    if not found or not ended or text.count(start) > 1 or any(line in block for line in _openings(start)):
        raise BadRunError(f"{page} has no place for {what}. Add the two lines {start} and {end}.")
    return before, after


def _openings(start: str) -> list[str]:
    """How another block of this kind would begin."""
    return [start.partition(":")[0] + ":", start]


def renew_block(page: Path, start: str, end: str, what: str, text: str) -> bool:
    """Replace what stands between the two lines; True when that changed the page. Raises as `find_block`."""
    before, after = find_block(page, start, end, what)
    old, new = page.read_text(encoding="utf-8"), f"{before}{start}\n{text}\n{end}{after}"
    page.write_text(new, encoding="utf-8")
    return new != old


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """The report as one page, figures inline."""
    body = "\n".join(map(_block_html, blocks))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{html.escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def block_md(block: Block) -> str:
    """One block in Markdown."""
    match block:
        case Heading(text):
            return f"## {_md(text)}"
        case Paragraph(text, strong):
            return f"**{_md(text)}**" if strong else _md(text)
        case Items(texts):
            return "\n".join(f"- {_md(text)}" for text in texts)
        case Table(caption, head, rows):
            rule = ["---", *["---:"] * (len(head) - 1)]
            return f"{_md(caption)}\n\n" + markdown.table([*map(_md, head)], (map(_md, row) for row in rows), rule)
        case Code(text):
            fence = "`" * max(3, *(len(run) + 1 for run in ["", *re.findall("`+", text)]))
            return f"{fence}\n{text}\n{fence}"
        case Picture(name, _, alt, caption):
            return f"![{_md(alt)}]({name}.svg)\n\n{_md(caption)}"


def _md(text: str) -> str:
    """Nothing in a text is markup, wherever it came from."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", " ".join(text.split()))


def _block_html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{html.escape(text)}</h2>"
        case Paragraph(text, strong):
            return f'<p class="strong">{html.escape(text)}</p>' if strong else f"<p>{html.escape(text)}</p>"
        case Items(texts):
            return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>"
        case Table(caption, head, rows):
            return _table_html(caption, head, rows)
        case Code(text):
            return f"<pre><code>{html.escape(text)}</code></pre>"
        case Picture(name, svg, alt, caption):
            return _picture_html(_inline(svg, name, alt), caption)


def _picture_html(svg: str, caption: str) -> str:
    return f'<figure>\n<div class="wide">{svg}</div>\n<figcaption>{html.escape(caption)}</figcaption>\n</figure>'


def _table_html(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table>\n<caption>{html.escape(caption)}</caption>\n'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _inline(svg: str, name: str, alt: str) -> str:
    """An SVG file as an element whose ids no other figure of the page has."""
    inner = svg[svg.index("<svg") :].strip()
    inner = re.sub(r'\bid="|href="#|url\(#', rf"\g<0>{name}-", inner)
    return inner.replace("<svg", f'<svg role="img" aria-label="{html.escape(alt)}"', 1)
