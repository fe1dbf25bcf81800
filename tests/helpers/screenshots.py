"""Takes the pictures of docs/page.md, of a made-up project, in the browser of the tests: `scripts/screenshots`."""

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers.browser import answering, browsing, context_of
from helpers.paths import ROOT
from helpers.served import client_of
from helpers.shown_project import fill, saying, told
from helpers.waiting import wait_until

PICTURES: Mapping[str, Mapping[str, Any]] = {  # how a browser is set up for each
    "page.png": {"viewport": {"width": 1200, "height": 1250}},
    "page-dark.png": {"viewport": {"width": 360, "height": 780}, "color_scheme": "dark", "device_scale_factor": 2},
}


def take(browser: Any, directory: Path) -> None:
    """Write all pictures."""
    now = datetime.now(timezone.utc)
    with TemporaryDirectory() as home, saying(told(now)):
        fill(Path(home), 7, now)
        with answering(client_of(Path(home)).application) as address:
            for name, options in PICTURES.items():
                _take(context_of(browser, **options), address, directory / name)


def _take(context: Any, address: str, path: Path) -> None:
    page = context.new_page()
    with page.expect_response(lambda answer: "/api/" in answer.url):
        page.goto(address)
    drawn = "document.getElementById('curve').open === !!document.querySelector('#plot canvas')"
    wait_until(lambda: page.evaluate(drawn), "the curve, unless it is folded away")
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    with browsing() as found:
        take(found, ROOT / "docs")
