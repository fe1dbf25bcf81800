"""A real Ray cluster on this machine, for tests and measurements: a head without cores and nodes of one core each.

Run as a program, in a mount space of its own where a directory is to be hidden from all nodes. Linux only.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

STORE = 120 * 2**20  # bytes of each node's objects, in shared memory
QUICK_TO_NOTICE = {  # a node is declared dead after some 6 s
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'


class RayNodes:
    """Its client port is open to this machine's network while it lives: without tokens, as it is nobody else's.

    `hidden` is empty for all nodes, which find modules in `paths`, too. Where this machine allows nobody a mount space
    of their own, nodes see it, and `hides` is false.
    """

    def __init__(self, port: int, nodes: int, hidden: Path | None = None, paths: Sequence[Path] = ()):
        self.address = f"ray://127.0.0.1:{port}"
        self._home = tempfile.TemporaryDirectory(prefix="ray-nodes-", dir="/tmp")  # not in what is hidden
        apart = ["unshare", *([] if os.getuid() == 0 else ["--map-root-user"]), "--mount"]
        self.hides = hidden is not None and subprocess.run([*apart, "true"], check=False).returncode == 0
        hiding = [*apart, "sh", "-ec", HIDE, "sh", str(hidden)] if self.hides else []
        self._process = subprocess.Popen(
            [*hiding, sys.executable, "-m", "nextlabel.lab.ray_nodes", str(port), str(nodes), self._home.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_environment(self._home.name, paths),
            cwd="/tmp",
        )
        assert self._told() == "ready"

    def kill_worker(self) -> None:
        """The first process that is seen to compute."""
        while True:
            for process in self._started():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "ray::_perform" in " ".join(process.cmdline()):
                        process.kill()
                        return

    def kill_node(self, number: int) -> None:
        """All processes of a node, at once."""
        assert self._process.stdin is not None
        print(number, file=self._process.stdin, flush=True)
        assert self._told() == "killed"

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
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_raylet_start_wait_time_s": "180",  # on a busy machine
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *map(str, paths)]),
    }


def main(port: int, nodes: int, home: str) -> None:
    """Start the cluster, and kill nodes whose numbers are on the standard input."""
    from ray.cluster_utils import Cluster

    common = {"object_store_memory": STORE, "include_dashboard": False}
    head = {"num_cpus": 0, "ray_client_server_port": port, "temp_dir": f"{home}/ray", **common}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    started = [cluster.add_node(num_cpus=1, **common) for _ in range(nodes)]
    print("told ready", flush=True)
    for line in sys.stdin:
        cluster.remove_node(started[int(line)], allow_graceful=False)
        print("told killed", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
