"""Pages as a browser would read them."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Checks nesting, and keeps what a browser would load, all ids, text, headings and tables."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.names: list[str] = []  # of attributes
        self.text = ""
        self.headings: list[str] = []  # of the first and second order
        self.tables: dict[str, list[list[str]]] = {}  # cells by row, by the table's caption
        self._into: list[str] | None = None  # the text of the heading, caption or cell that is open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.names.append(name)
            if name in ("src", "href", "xlink:href", "srcset", "data", "action") and not (value or "").startswith("#"):
                self.loads.append(f"{tag} {name}={value}")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("caption", "td", "th", "h1", "h2"):
            self._into = []
        elif tag == "tr":
            list(self.tables.values())[-1].append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("caption", "td", "th", "h1", "h2") and self._into is not None:
            words, self._into = " ".join("".join(self._into).split()), None
            if tag == "caption":
                self.tables[words] = []
            elif tag in ("h1", "h2"):
                self.headings.append(words)
            else:
                list(self.tables.values())[-1][-1].append(words)

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._into is not None:
            self._into.append(data)


def parse(html: str) -> Page:
    """A page that is well nested."""
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page
