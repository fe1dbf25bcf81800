"""A real Ray cluster on this machine, for tests and measurements: a head without cores and nodes of one core each.

Run as a program, in a mount space of its own where a directory is to be hidden from all nodes. Linux only.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from nextlabel.errors import NextlabelError

START_S = 600.0  # on a busy machine, for a head and its nodes
LINES = 15  # of what Ray said before it ended
STORE = 120 * 2**20  # bytes of each node's objects, in shared memory
QUICK_TO_NOTICE = {  # a node is declared dead after some 6 s
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'


class RayNodes:
    """Its ports are open to this machine's network while it lives, and ask for a token that is made for it. With it in
    the environment, `for_client`, whoever connects gets in.

    `hidden` is empty for all nodes, which find modules in `paths`, too. Where this machine allows nobody a mount space
    of their own, nodes see it, and `hides` is false.
    """

    def __init__(self, port: int, nodes: int, hidden: Path | None = None, paths: Sequence[Path] = ()):
        self.address = f"ray://127.0.0.1:{port}"
        self.for_client = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self._home = tempfile.TemporaryDirectory(prefix="ray-nodes-", dir="/tmp")  # not in what is hidden
        apart = ["unshare", *([] if os.getuid() == 0 else ["--map-root-user"]), "--mount"]
        self.hides = hidden is not None and subprocess.run([*apart, "true"], check=False).returncode == 0
        self._said = Path(self._home.name, "said.log")
        hiding = [*apart, "sh", "-ec", HIDE, "sh", str(hidden)] if self.hides else []
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                [*hiding, sys.executable, "-m", "nextlabel.lab.ray_nodes", str(port), str(nodes), self._home.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**_environment(self._home.name, paths), **self.for_client},
                cwd="/tmp",
            )
        self._require("ready")

    def kill_worker(self) -> None:
        """The first process that is seen to compute."""
        while True:
            for process in self._started():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if _computes(process):
                        process.kill()
                        return

    def kill_node(self) -> None:
        """All processes of the first node that is seen to compute, with what it computes."""
        assert self._process.stdin is not None
        print("kill", file=self._process.stdin, flush=True)
        self._require("killed")

    def kill_head(self) -> None:
        """Head and nodes, with all that they started."""
        for process in self._started()[::-1]:
            process.kill()

    def end(self) -> None:
        """Nothing is left of it."""
        started = self._started()
        self._process.kill()
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        psutil.wait_procs(started, timeout=10)
        self._home.cleanup()

    def _started(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self._process.pid).children(recursive=True)
        return found

    def _require(self, word: str) -> None:
        """Have it say so. Ends it, and raises `NextlabelError` with the last that Ray said, if it does not."""
        silence = threading.Timer(START_S, self._process.kill)
        silence.start()
        told = self._told()
        silence.cancel()
        if told != word:
            last = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LINES:]
            self.end()
            raise NextlabelError(
                "\n".join([f"Ray's nodes did not say {word!r} on this machine. The last they said:", *last])
            )

    def _told(self) -> str:
        """The next line that is about us; Ray prints others."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("told "):
                return line.split()[1]
        return "ended"


def _environment(home: str, paths: Sequence[Path]) -> dict[str, str]:
    here = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {
        **here,
        **QUICK_TO_NOTICE,
        "HOME": home,
        "TMPDIR": home,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_raylet_start_wait_time_s": "180",  # on a busy machine
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *map(str, paths)]),
    }


def _computes(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "ray::_perform" in " ".join(process.cmdline())
    return False


def _computing(nodes: Sequence[Any]) -> Any:
    """The first node that is seen to compute; it is stopped in the middle of that."""
    while True:
        for node in nodes:
            raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
            for process in filter(_computes, raylet.children(recursive=True)):
                process.suspend()
                return node


def main(port: int, nodes: int, home: str) -> None:
    """Start the cluster, and kill a node that computes for each line of the standard input."""
    from ray.cluster_utils import Cluster

    common = {"object_store_memory": STORE, "include_dashboard": False}
    head = {"num_cpus": 0, "ray_client_server_port": port, "temp_dir": f"{home}/ray", **common}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    started = [cluster.add_node(num_cpus=1, **common) for _ in range(nodes)]
    print("told ready", flush=True)
    for _ in sys.stdin:
        killed = _computing(started)
        started.remove(killed)
        cluster.remove_node(killed, allow_graceful=False)
        print("told killed", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
