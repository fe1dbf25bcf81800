"""What the hardware is and what it is fast at. Imports torch; knows no model."""

import functools
import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path

import torch

from nextlabel.errors import BadSettingError

TRIES = 20
CLEARLY_FASTER = 1.3  # bf16 is several times faster where the CPU has it and three times slower where it has not


def pick_device(name: str) -> torch.device:
    """`auto`: CUDA, else Apple's MPS, else the CPU. Raises `BadSettingError` for a device that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise BadSettingError(f"The device {name!r} is unknown. DEVICE or --device is auto, cpu, cuda, cuda:N or mps.")
    device = torch.device(name)
    present = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
    }
    if not present[device.type]:
        raise BadSettingError(f"The device {name!r} is not on this machine. Choose auto, or run where it is.")
    return device


def device_of_trainer(name: str, trainer: int) -> str:
    """The device of one of several trainers, counted from 0: they take the GPUs in turn, if there are several."""
    gpus = torch.cuda.device_count() if name in ("auto", "cuda") else 0
    return f"cuda:{trainer % gpus}" if gpus > 1 else name


def describe(name: str) -> str:
    """A device in words, with all that the last bits of a result depend on: `cpu (2 threads)`, `cuda (NVIDIA H100)`."""
    device = pick_device(name)
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"{device.type} ({threads} thread{'s' if threads > 1 else ''})"


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of matrix products in fitting and in the first pass over a pool: bf16 where it is clearly faster."""
    if name == "auto":
        return torch.bfloat16 if bf16_is_fast(device) else torch.float32
    return torch.bfloat16 if name == "bf16" else torch.float32


@functools.cache
def bf16_is_fast(device: torch.device) -> bool:
    """Whether bf16 pays on this device: known for GPUs, measured in some milliseconds on a CPU."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    seconds = _seconds_of_products(torch.float32, torch.bfloat16)
    return seconds[torch.float32] > CLEARLY_FASTER * seconds[torch.bfloat16]


def _seconds_of_products(*dtypes: torch.dtype, rows: int = 512, width: int = 768) -> dict[torch.dtype, float]:
    """The shortest of many tries, in turns: on a busy machine most are disturbed, and the first builds the kernel."""
    seconds: dict[torch.dtype, float] = dict.fromkeys(dtypes, float("inf"))
    operands = {
        dtype: (torch.ones(rows, width, dtype=dtype), torch.ones(width, width, dtype=dtype)) for dtype in dtypes
    }
    for _ in range(TRIES):
        for dtype, (a, b) in operands.items():
            start = time.perf_counter()
            torch.mm(a, b)
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
    return seconds


def machine() -> str:
    """This machine in words: processor, cores, system."""
    return f"{_processor_facts()['model name']}, {os.cpu_count()} cores, {platform.system()}"


def processor() -> str:
    """The processor, with all that the last bits of a result on it depend on: model and vector instructions."""
    facts = _processor_facts()
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model", "stepping") if key in facts]
    return f"{facts['model name']} ({', '.join([*numbers, torch.backends.cpu.get_cpu_capability()])})"


@functools.cache
def _processor_facts() -> dict[str, str]:
    """What Linux tells of the first processor; on other systems its name alone."""
    facts = {"model name": platform.processor() or platform.machine()}
    with suppress(OSError):
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        facts |= {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    return facts


def use_threads(count: int) -> None:
    """Have torch compute with so many threads from now on."""
    torch.set_num_threads(count)


def threads() -> int:
    """With how many threads torch computes."""
    return torch.get_num_threads()


def gpu_count() -> int:
    """How many CUDA devices torch sees."""
    return torch.cuda.device_count()


def precision_name(name: str, device: torch.device) -> str:
    """`fp32` or `bf16`: what a setting of PRECISION comes to on this device."""
    return name_of(pick_precision(name, device))


def name_of(precision: torch.dtype) -> str:
    """`fp32` or `bf16`."""
    return "fp32" if precision == torch.float32 else "bf16"
