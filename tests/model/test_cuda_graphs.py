"""When a step is launched, recorded and replayed. Graphs are stand-ins; `nextlabel check-gpu` makes real ones."""

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from nextlabel.model.cuda_graphs import Replayed

CPU = torch.device("cpu")


class Graph:
    """Keeps what is done while it records, instead of doing it, as a CUDA graph does."""

    recording: "Graph | None" = None

    def __init__(self) -> None:
        self.kept: list[Callable[[], None]] = []

    def capture_begin(self, memory: object, capture_error_mode: str) -> None:
        assert (memory, capture_error_mode) == ("memory", "thread_local")
        Graph.recording = self

    def capture_end(self) -> None:
        Graph.recording = None

    def replay(self) -> None:
        for action in self.kept:
            action()


class Work:
    """Notes what it was done with, and whether it was launched or replayed."""

    def __init__(self) -> None:
        self.done: list[tuple[list[int], int, str]] = []

    def __call__(self, rows: torch.Tensor, length: int) -> None:
        how = "replayed" if Graph.recording else "launched"

        def action() -> None:
            self.done.append((rows.tolist(), length, how))

        if Graph.recording:
            Graph.recording.kept.append(action)
        else:
            action()


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "memory")
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *device: None)
    monkeypatch.setattr("nextlabel.model.cuda_graphs._recording_stream", lambda device: SimpleNamespace(device=device))


def test_each_call_does_the_work_once_on_its_own_rows() -> None:
    work = Work()
    replayed = Replayed(work, CPU)
    calls = [([1, 2], 16), ([3, 4], 16), ([5], 16), ([6, 7], 32), ([8, 9], 16), ([10, 11], 32), ([12], 16), ([13], 16)]
    for rows, length in calls:
        replayed(torch.tensor(rows), length)
    assert [(rows, length) for rows, length, _ in work.done] == calls


def test_a_shape_is_launched_the_first_time_and_replayed_from_then_on() -> None:
    work = Work()
    replayed = Replayed(work, CPU)
    for _ in range(3):
        for rows, length in (([1, 2], 16), ([1], 16), ([1, 2], 32)):
            replayed(torch.tensor(rows), length)
    assert [how for _, _, how in work.done] == ["launched"] * 3 + ["replayed"] * 6


def test_what_cannot_be_recorded_is_launched_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()

    def greedy(rows: torch.Tensor, length: int) -> None:
        if Graph.recording:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        work(rows, length)

    replayed = Replayed(greedy, CPU)
    for i in range(4):
        replayed(torch.tensor([i]), 16 * (1 + i % 2))
    assert [(rows, how) for rows, _, how in work.done] == [([i], "launched") for i in range(4)]
    assert Graph.recording is None
    assert caplog.text.count("steps cannot be recorded and will take longer: CUDA out of memory") == 1


def test_an_error_of_the_work_itself_is_not_hidden() -> None:
    def broken(rows: torch.Tensor, length: int) -> None:
        raise RuntimeError("size mismatch")

    replayed = Replayed(broken, CPU)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="size mismatch"):
            replayed(torch.tensor([1]), 16)
