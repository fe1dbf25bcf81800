"""What every script does: finds the package, reads the settings, turns deliberate errors into one clear line."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nextlabel.errors import NextlabelError
from nextlabel.processes import yield_cores_while_waiting

yield_cores_while_waiting()

if TYPE_CHECKING:
    from nextlabel.labelstudio.client import Studio


def studio_from_settings() -> "Studio":
    """A client for LABEL_STUDIO_URL with LABEL_STUDIO_API_KEY, from the environment or `.env`."""
    # Here, because the simulation runs where neither the settings' library nor Label Studio's SDK is installed.
    from nextlabel.settings import load_settings
    from nextlabel.labelstudio.client import Studio

    settings = load_settings()
    return Studio(str(settings.label_studio_url), settings.label_studio_api_key.get_secret_value())


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


def run(main: Callable[[], int | None]) -> None:
    """Run a script's `main`; exit code 1 and one message for an error raised on purpose, 130 for Ctrl-C."""
    try:
        sys.exit(main() or 0)
    except NextlabelError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
