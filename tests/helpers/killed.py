"""Code that is killed, as by a power cut, at each of its steps on disk in turn."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

STEPS = """
import os, shutil, signal, sys
from pathlib import Path

left = int(sys.argv[1])

def deadly(owner, name):
    real = getattr(owner, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(owner, name, call)

for owner, name in ((os, "fsync"), (os, "unlink"), (Path, "rename"), (Path, "replace"), (Path, "unlink")):
    deadly(owner, name)
"""


def killed_at_each_step(code: str, *arguments: Path, stride: int = 1) -> Iterator[int]:
    """Runs `code`, which finds the arguments in `sys.argv[2:]`, and kills it before its first step, its second and so
    on, or only before every so many; yields each time how many were done, and not when it comes to its end."""
    for done in range(0, 1000, stride):
        command = [sys.executable, "-c", STEPS + code, str(done), *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode in (0, -9), ended.stderr
        if ended.returncode == 0:
            return
        yield done
