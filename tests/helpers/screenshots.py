"""Takes the pictures of docs/page.md, of a made-up project, in the browser of the tests: `scripts/screenshots`."""

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers.browser import answering, browsing, context_of
from helpers.paths import ROOT
from helpers.served import client_of
from helpers.waiting import wait_until
from nextlabel.lab.shown_project import fill

PHONE = {"width": 360, "height": 780}
PICTURES: Mapping[str, tuple[Mapping[str, Any], str]] = {  # how a browser is set up, and from where on the page is seen
    "page.png": ({"viewport": {"width": 1200, "height": 1400}}, "header"),
    "page-more.png": ({"viewport": {"width": 1200, "height": 1250}}, "#panel-people"),
    "page-dark.png": ({"viewport": PHONE, "color_scheme": "dark", "device_scale_factor": 2}, "header"),
}


def take(browser: Any, directory: Path) -> None:
    """Write all pictures."""
    with TemporaryDirectory() as home:
        fill(Path(home), 7, datetime.now(timezone.utc), show_people=True)
        with answering(client_of(Path(home)).application) as address:
            for name, (options, top) in PICTURES.items():
                _take(context_of(browser, **options), address, top, directory / name)


def _take(context: Any, address: str, top: str, path: Path) -> None:
    page = context.new_page()
    with page.expect_response(lambda answer: "/api/" in answer.url):
        page.goto(address)
    drawn = "document.getElementById('curve').open === !!document.querySelector('#plot canvas')"
    wait_until(lambda: page.evaluate(drawn), "the curve, unless it is folded away")
    page.evaluate("(top) => document.querySelector(top).scrollIntoView()", top)
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    with browsing() as found:
        take(found, ROOT / "docs")
