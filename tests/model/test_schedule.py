"""The learning rate from step to step: as transformers has it, and to an early end once the loss has converged."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_linear_schedule_with_warmup

from nextlabel.model.schedule import Schedule


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.1), (343, 0.0), (7, 0.5), (1, 0.1)])
def test_without_convergence_it_is_transformers_linear_schedule(steps: int, warmup: float) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_linear_schedule_with_warmup(optimiser, int(steps * warmup), steps)
    schedule = Schedule(steps, warmup)
    for step in range(steps):
        assert schedule.share(step) == theirs.get_last_lr()[0]
        optimiser.step()
        theirs.step()
    assert (schedule.last, schedule.share(steps)) == (steps, 0)


@given(st.integers(1, 1000), st.floats(0, 1), st.data())
def test_once_converged_the_rate_never_rises_and_is_0_at_the_end(
    steps: int, warmup: float, data: st.DataObject
) -> None:
    planned, schedule = Schedule(steps, warmup), Schedule(steps, warmup)
    since = data.draw(st.integers(1, steps))
    schedule.converged(since)
    assert since <= schedule.last <= steps
    shares = [schedule.share(step) for step in range(since, schedule.last + 1)]
    assert shares[-1] == 0
    assert all(share <= planned.share(step) for step, share in enumerate(shares, start=since))
    if schedule.last < steps:
        assert shares == sorted(shares, reverse=True)


def test_it_ends_a_fifth_of_the_steps_after_it_converged_and_only_the_first_time_counts() -> None:
    schedule = Schedule(100, 0.1)
    schedule.converged(50)
    assert schedule.last == 60
    schedule.converged(55)
    assert schedule.last == 60
    assert schedule.share(55) == pytest.approx(schedule.share(50) / 2)


def test_convergence_near_the_end_changes_nothing() -> None:
    schedule = Schedule(100, 0.1)
    schedule.converged(90)
    assert (schedule.last, schedule.share(95)) == (100, Schedule(100, 0.1).share(95))


def test_nothing_converges_while_the_rate_rises() -> None:
    schedule = Schedule(100, 0.5)
    schedule.converged(40)
    assert (schedule.last, schedule.share(45)) == (100, 0.9)
