"""Work on a GPU that is recorded once and replayed. Imports torch only."""

import functools
import logging
import threading
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Work = Callable[[Tensor, int], None]
RECORDING = threading.Lock()  # torch can record one graph at a time


@functools.cache
def _recording_stream(device: torch.device) -> torch.cuda.Stream:
    # One for all recordings: cuBLAS gives each stream working memory, and never takes it back.
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class Replayed:
    """`work(rows, length)`, recorded as a CUDA graph for each number of rows and each length that comes again.

    Small work is over before the CPU has launched its thousand kernels: in fitting, by ten times. A graph launches them
    at once. What the work leaves behind is in tensors that live on (weights, an optimiser's sums); it asks the GPU
    nothing.
    """

    def __init__(self, work: Work, device: torch.device):
        self._work = work
        self._stream = _recording_stream(device)
        self._memory = torch.cuda.graph_pool_handle()  # shared: graphs are replayed one at a time
        self._recorded: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._met: set[tuple[int, int]] = set()
        self._gave_up = False

    def __call__(self, rows_R: Tensor, length: int) -> None:
        """Do the work."""
        shape = (len(rows_R), length)
        if shape in self._met and shape not in self._recorded and not self._gave_up:
            self._record(rows_R, length)
        if shape in self._recorded:
            graph, kept_R = self._recorded[shape]
            kept_R.copy_(rows_R)
            graph.replay()
        else:
            self._work(rows_R, length)  # the first time also makes all that cannot be made while recording
            self._met.add(shape)

    def _record(self, rows_R: Tensor, length: int) -> None:
        graph, kept_R = torch.cuda.CUDAGraph(), rows_R.clone()
        torch.cuda.synchronize(self._stream.device)
        torch.cuda.empty_cache()  # what was freed cannot be used while recording
        try:
            with RECORDING, torch.cuda.stream(self._stream):
                # thread_local: other threads may use the GPU meanwhile.
                graph.capture_begin(self._memory, capture_error_mode="thread_local")
                try:
                    self._work(kept_R, length)
                finally:
                    graph.capture_end()
        except RuntimeError as error:  # a model that asks the GPU something, or no memory to record in
            self._gave_up = True
            log.warning("steps cannot be recorded and will take longer: %s", str(error).strip().splitlines()[0])
            return
        self._recorded[len(rows_R), length] = graph, kept_R
