"""A real Ray cluster on this machine, in a mount space of its own: its nodes cannot read a directory."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from helpers.paths import ROOT

STORE = 120 * 2**20  # bytes of each node's objects, in shared memory
QUICK_TO_NOTICE = {  # a node is declared dead after some 6 s
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}


class RayNodes:
    """A head without cores and some nodes with one each. `hidden` is empty for all of them."""

    def __init__(self, port: int, nodes: int, hidden: Path):
        self.address = f"ray://127.0.0.1:{port}"
        self._home = tempfile.TemporaryDirectory(prefix="ray-nodes-", dir="/tmp")  # not in what is hidden
        as_root = [] if os.getuid() == 0 else ["--map-root-user"]
        program = 'mount -t tmpfs none "$1" && shift && exec "$@"'
        python = [sys.executable, "-m", "helpers.ray_nodes", str(port), str(nodes), self._home.name]
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            **{"HOME": self._home.name, "TMPDIR": self._home.name, "RAY_AUTH_MODE": "disabled"},
            **{"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"},
            "PYTHONPATH": os.pathsep.join([str(ROOT / "backend"), str(ROOT / "tests")]),
            **QUICK_TO_NOTICE,
        }
        self._process = subprocess.Popen(
            ["unshare", *as_root, "--mount", "sh", "-ec", program, "sh", str(hidden), *python],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
            cwd="/tmp",
        )
        assert self._told() == "ready"

    def kill_worker(self) -> None:
        """The first process that is seen to compute."""
        while True:
            for process in psutil.Process(self._process.pid).children(recursive=True):
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
        for process in psutil.Process(self._process.pid).children(recursive=True)[::-1]:
            process.kill()

    def end(self) -> None:
        """Nothing is left of it."""
        started = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for process in started:
            if process.is_running():
                process.kill()
        self._process.wait()
        psutil.wait_procs(started, timeout=10)
        self._home.cleanup()

    def _told(self) -> str:
        """The next line that is about us; Ray prints others."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("told "):
                return line.split()[1]
        return "ended"


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
