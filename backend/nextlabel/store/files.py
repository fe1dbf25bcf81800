"""Files that readers see whole or not at all."""

import os
import re
import threading
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: str | bytes, durable: bool = False) -> None:
    """Put `content` (a text as UTF-8) in the place of a file at once, whichever processes read or write it meanwhile.

    `durable`: it is there after a power cut, too. Raises `OSError` when it cannot be written.
    """
    # Writers may meet; each writes a file of its own. Nothing lists hidden files.
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with beside.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None  # of the other file nobody knows


def forget_unfinished(directory: Path) -> None:
    """Remove what processes that were killed had not put in its place yet. Nobody may write there meanwhile."""
    for path in directory.glob(".*"):
        if re.fullmatch(r"\..+\.\d+-\d+", path.name):
            path.unlink()
