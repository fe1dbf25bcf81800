"""Which device and which precision: what is asked for if it is there, and what is fast if nothing is asked."""

import pytest
import torch

from nextlabel.errors import BadSettingError
from nextlabel.model.devices import bf16_is_fast, pick_device, pick_precision

CPU = torch.device("cpu")
ABSENT = [
    name
    for name, present in {
        "cuda": torch.cuda.is_available(),
        f"cuda:{max(7, torch.cuda.device_count())}": False,
        "mps": torch.backends.mps.is_available(),
    }.items()
    if not present
]


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_a_picked_device_computes(name: str) -> None:
    device = pick_device(name)
    assert name == "auto" or device == CPU
    assert torch.ones(3, device=device).sum().item() == 3


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_auto_takes_the_accelerator_that_is_there_and_no_other(kind: str) -> None:
    assert (pick_device("auto").type == kind) == (kind not in ABSENT and (kind == "cuda" or "cuda" in ABSENT))


@pytest.mark.parametrize("name", ABSENT)
def test_a_device_that_is_not_there_is_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(BadSettingError, match=f"The device '{name}' is not on this machine. Choose auto"):
        pick_device(name)


@pytest.mark.parametrize("name", ["foo", "xpu", "cpu:1", "cuda:x", ""])
def test_a_device_that_is_none_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadSettingError, match=f"The device '{name}' is unknown"):
        pick_device(name)


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
@pytest.mark.parametrize("device", [CPU, torch.device("mps"), torch.device("meta")], ids=str)
def test_a_precision_that_is_asked_for_is_taken(name: str, dtype: torch.dtype, device: torch.device) -> None:
    assert pick_precision(name, device) == dtype


@pytest.mark.parametrize("device", [CPU, torch.device("mps"), pick_device("auto")], ids=str)
def test_auto_is_bf16_exactly_where_it_is_fast(device: torch.device) -> None:
    assert pick_precision("auto", device) == (torch.bfloat16 if bf16_is_fast(device) else torch.float32)


def test_nobody_knows_bf16_to_be_fast_on_mps() -> None:
    assert pick_precision("auto", torch.device("mps")) == torch.float32


def test_the_cpu_is_measured_once() -> None:
    bf16_is_fast(CPU)
    before = bf16_is_fast.cache_info()
    assert {bf16_is_fast(torch.device("cpu")) for _ in range(5)} <= {True, False}
    after = bf16_is_fast.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 5)
