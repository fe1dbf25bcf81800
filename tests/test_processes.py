"""What the machine is told of a process of ours: in a process of its own, as it cannot be untold."""

import gc
import platform
import subprocess
import sys

import pytest

from nextlabel.processes import without_collecting

HEAPS = """
import ctypes, tempfile, threading
from nextlabel.processes import share_heaps

{before}
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
all_there = threading.Barrier(6)

def allocate():
    all_there.wait()
    libc.malloc(1000)
    all_there.wait()

threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with tempfile.NamedTemporaryFile() as told:
    file = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    print(told.read().decode().count("<heap "))
"""


def heaps_of_six_threads(before: str) -> int:
    code = HEAPS.format(before=before)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heaps are glibc's; elsewhere nothing is set")
def test_threads_share_two_heaps() -> None:
    assert heaps_of_six_threads("") > 2
    assert heaps_of_six_threads("share_heaps()") <= 2


def test_while_modules_are_imported_nobody_looks_for_garbage_and_then_not_among_what_they_made() -> None:
    made: list[object] = []
    with without_collecting():
        assert not gc.isenabled()
        assert any(looked_at is made for looked_at in gc.get_objects())
    try:
        assert gc.isenabled()
        assert not any(looked_at is made for looked_at in gc.get_objects())
    finally:
        gc.unfreeze()


def test_after_an_import_that_failed_garbage_is_looked_for_again() -> None:
    with pytest.raises(ImportError), without_collecting():
        raise ImportError("no such module")
    try:
        assert gc.isenabled()
    finally:
        gc.unfreeze()
