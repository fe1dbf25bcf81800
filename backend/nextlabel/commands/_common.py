"""What several commands need."""

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextlabel.labelstudio.client import LabelStudioClient


def new_parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """A parser whose help keeps the lines of the module's docstring."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=prog, description=description, formatter_class=formatter)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def studio_from_settings() -> "LabelStudioClient":
    """A client for LABEL_STUDIO_URL with LABEL_STUDIO_API_KEY, from the environment or `.env`."""
    # Here, because the simulation runs where neither the settings' library nor Label Studio's SDK is installed.
    from nextlabel.labelstudio.client import LabelStudioClient
    from nextlabel.settings import load_settings

    settings = load_settings()
    return LabelStudioClient(str(settings.label_studio_url), settings.label_studio_api_key.get_secret_value())


def default_model() -> str:
    """The small checkpoint of the demo. The demo needs Label Studio's SDK; where a model is named, nothing does."""
    from nextlabel.lab.demo import small_checkpoint

    return str(small_checkpoint())


def wait_until(done: Callable[[], bool], seconds: float = 1800) -> None:
    """Look twenty times a second until it is so; raises `TimeoutError` when it never is."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the loop did not move on")
        time.sleep(0.05)
