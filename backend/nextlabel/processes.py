"""How a process of ours behaves among others: its log, its life, its manners on the CPU, its way out."""

import ctypes
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import getproxies_environment

PR_SET_PDEATHSIG = 1  # linux/prctl.h
M_ARENA_MAX = -8  # glibc's malloc.h

HEAPS = 2
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def set_up_logs(level: str, name: str) -> None:
    """Log to standard error. `name` says which process speaks. Never log bodies, headers or tokens."""
    logging.basicConfig(level=level, format=f"%(asctime)s {name} %(levelname)s %(message)s", force=True)
    # Theirs is a line per request: noise at our pace, and URLs may carry passwords.
    for noisy in ("httpx", "httpcore", "huey", "filelock", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def exit_with_parent(supervisor: int) -> None:
    """A supervised process stops when its supervisor is killed, or it would go on holding the port. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:  # it died before it was asked for
            sys.exit(1)


def yield_cores_while_waiting() -> None:
    """Make torch's threads sleep, not spin, while they wait for each other. To be called before torch is imported.

    With another busy process on the machine, spinning makes a fitting step about four times slower, and takes the
    time from annotators' requests; on an idle machine it makes no difference.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def reach_this_machine_directly() -> None:
    """Have no proxy of the environment between programs of one machine: none can reach what is `localhost` to us."""
    proxies = getproxies_environment()
    if proxies.keys() & {"http", "https", "all"}:
        named = [host.strip() for host in proxies.get("no", "").split(",") if host.strip()]
        direct = ",".join(dict.fromkeys((*named, *THIS_MACHINE)))
        os.environ.update(NO_PROXY=direct, no_proxy=direct)


def trust_named_certificates() -> None:
    """Have httpx, which heeds SSL_CERT_FILE and SSL_CERT_DIR, heed REQUESTS_CA_BUNDLE where these are not set."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        os.environ["SSL_CERT_DIR" if os.path.isdir(bundle) else "SSL_CERT_FILE"] = bundle


def lower_priority(niceness: int) -> None:
    """Let threads and processes of a lower niceness (0 to 19) go before the calling thread and those that it starts.
    Linux only: elsewhere niceness is of whole processes."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)


def share_cores(workers: int) -> None:
    """Take one of `workers` equal shares of the cores for torch's threads. To be called before torch is imported.

    What OMP_NUM_THREADS says already is left alone.
    """
    if workers > 1:
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))


def keep_few_kernels() -> None:
    """Make oneDNN, and torch's own layer above it, forget kernels earlier. To be called before torch is imported.

    A kernel is needed for each product and shape of a batch; by default a thousand are kept in each, some hundred MB.
    Those of a fit and of scoring have room here (`classifier` sees to it that shapes are few): what was forgotten is
    made again, in milliseconds, and with 128 that took nearly as long as scoring.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "384")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "64")


def share_heaps() -> None:
    """Make all threads allocate from two heaps (arenas, mallopt(3)). To be called before there are threads. Linux only.

    By default glibc gives each thread one of its own, eight a core at most, and a page that holds a single piece stays:
    some 50 MB in a trainer. Neither fits nor scoring take longer.
    """
    _call_glibc("mallopt", M_ARENA_MAX, HEAPS)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Have nobody look for garbage while modules are imported, nor later among what they made, which stays.

    Modules leave next to no garbage, and in search of it all that they made is gone through again and again: of the
    4.5 s of the CPU that torch and transformers take to be imported, one second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def trim_heap() -> None:
    """Return freed memory to the system: after a fit glibc holds on to a gigabyte or more in pieces. Linux only."""
    _call_glibc("malloc_trim", 0)


def _call_glibc(name: str, *args: int) -> None:
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)  # musl has none of these
        if function is not None:
            function(*args)


def stop_when_asked() -> None:
    """Heed SIGTERM and Ctrl-C from the first moment: process 1 of a container ignores what it does not handle."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: sys.exit(0))
