"""The environment that a peer runs in: its own packages before ours, so that it has our torch and transformers."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nextlabel.errors import BadRunError

BACKEND = Path(__file__).resolve().parents[3]
CHECKOUT = BACKEND.parent  # when this is run from one


def prepared(peer: str, cache: Path) -> Path:
    """The Python of a peer's environment below `cache`, made when it is not there or its pins have changed.

    Raises `BadRunError` when pip cannot install the peer.
    """
    wanted = list(pins(peer))
    ours = [sysconfig.get_paths()["purelib"], str(BACKEND)]
    stamp = "\n".join([platform.python_version(), sys.prefix, *ours, *wanted])
    home = cache.absolute() / f"{peer}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    python, done = home / "bin" / "python", home / "stamp"
    if not done.exists():
        venv.create(home, clear=True, symlinks=True)
        [packages] = home.glob("lib/python*/site-packages")
        (packages / "nextlabel.pth").write_text("\n".join(ours) + "\n", encoding="utf-8")
        _install(peer, python, wanted)
        done.write_text(stamp, encoding="utf-8")
    return python


def default_cache() -> Path:
    """Where environments are kept unless another place is named."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nextlabel" / "peers"


def pins(peer: str) -> Iterator[str]:
    """The requirements of a peer: those of the checkout, or else of the package as it is installed."""
    file = CHECKOUT / "requirements" / f"peer-{peer}.txt"
    if file.exists():
        lines = (line.partition(" #")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
        yield from (line for line in lines if line and not line.startswith("#"))
    else:
        texts = (text.partition("; extra == ") for text in importlib.metadata.requires("nextlabel") or [])
        yield from (pin.strip() for pin, _, extra in texts if extra.strip('"') == f"peer-{peer}")


def variables(threads: int) -> Mapping[str, str]:
    """The environment variables of a peer's process: offline, with so many threads, and the same hashes in each run."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ours = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    return {**inherited, **ours, **offline}


def _install(peer: str, python: Path, wanted: Sequence[str]) -> None:
    options = ["install", "--quiet", "--disable-pip-version-check"]
    # A peer's range must not replace our torch by another build.
    ours = [f"torch=={importlib.metadata.version('torch').partition('+')[0]}"]
    command = [sys.executable, "-m", "pip", "--python", str(python), *options, *ours, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadRunError(f"pip could not install {peer} ({', '.join(wanted)}): {done.stderr.strip()[-500:]}")
