"""What a fit on several questions makes small."""

import math

import numpy as np
import pytest
import torch

from nextlabel.model import losses
from nextlabel.values.layout import ANY_OF, ONE_OF, Cut, Layout, encoded

LAYOUT = Layout((Cut("topic", ONE_OF, ("a", "b")), Cut("tones", ANY_OF, ("x", "y", "z"))))
LOGITS = [[0.3, -1.0, 2.0, 0.1, -0.4], [1.5, 0.2, -0.3, 0.7, 0.0]]


def loss_of(*answers: dict[str, tuple[str, ...]]) -> tuple[float, torch.Tensor]:
    """And its gradient."""
    logits = torch.tensor(LOGITS[: len(answers)], requires_grad=True)
    targets = torch.tensor(LAYOUT.targets([encoded(answer) for answer in answers])).float()
    loss = losses.form(LAYOUT)(logits, targets)
    torch.autograd.backward(loss)
    assert logits.grad is not None
    return float(loss.detach()), logits.grad


def test_it_is_minus_the_logarithm_of_what_the_answers_are_given() -> None:
    answers: list[dict[str, tuple[str, ...]]] = [{"topic": ("b",), "tones": ("x", "z")}, {"topic": ("a",), "tones": ()}]
    probs_NC = LAYOUT.probabilities(np.array(LOGITS))
    targets_NC = LAYOUT.targets([encoded(answer) for answer in answers])
    of_topic = -np.log((probs_NC[:, :2] * targets_NC[:, :2]).sum(axis=1)).sum()
    of_tones = -np.log(np.where(targets_NC[:, 2:] == 1, probs_NC[:, 2:], 1 - probs_NC[:, 2:])).sum()
    assert loss_of(*answers)[0] == pytest.approx((of_topic + of_tones) / 2, rel=1e-5)


def test_a_question_that_is_not_answered_moves_nothing() -> None:
    _, gradient_NC = loss_of({"topic": ("a",)}, {"tones": ("x",)})
    assert (gradient_NC[0, 2:] == 0).all()
    assert (gradient_NC[1, :2] == 0).all()
    assert (gradient_NC[0, :2] != 0).all()
    assert (gradient_NC[1, 2:] != 0).all()


def test_a_label_that_was_not_asked_about_moves_nothing() -> None:
    whole, partly = (encoded({"tones": ("x",)}, {"tones": left}) for left in ((), ("y",)))
    losses_of = []
    for answer in (whole, partly):
        logits = torch.tensor(LOGITS[:1], requires_grad=True)
        loss = losses.form(LAYOUT)(logits, torch.tensor(LAYOUT.targets([answer])).float())
        torch.autograd.backward(loss)
        assert logits.grad is not None
        losses_of.append((float(loss.detach()), logits.grad[0, 2:].tolist()))
    (all_of_it, moved), (less, partly_moved) = losses_of
    probability = LAYOUT.probabilities(np.array(LOGITS))[0, 3]
    assert less == pytest.approx(all_of_it + np.log(1 - probability), rel=1e-5)
    assert partly_moved == [moved[0], 0.0, moved[2]]


def test_a_text_counts_by_its_weight_in_each_question() -> None:
    one, other = {"topic": ("a",), "tones": ("x",)}, {"tones": ("z",)}
    logits, targets = torch.tensor(LOGITS), torch.tensor(LAYOUT.targets([encoded(one), encoded(other)])).float()
    whole, first = (float(losses.form(LAYOUT)(logits[:n], targets[:n])) for n in (2, 1))
    for weight in (0.0, 0.25, 1.0):
        weighed = losses.form(LAYOUT)(logits, targets, torch.tensor([1.0, weight]))
        assert float(weighed) == pytest.approx(first + weight * (whole - first), rel=1e-5)


def test_a_text_counts_as_much_whether_one_question_is_answered_or_all() -> None:
    both, one = loss_of({"topic": ("a",), "tones": ()})[0], loss_of({"topic": ("a",)})[0]
    of_topic = -np.log(LAYOUT.probabilities(np.array(LOGITS))[0, 0])
    assert one == pytest.approx(of_topic, rel=1e-5)
    assert both == pytest.approx((of_topic + loss_of({"tones": ()})[0]) / 2, rel=1e-5)


def test_a_blind_guess_costs_what_logits_of_zero_do() -> None:
    targets = torch.tensor(LAYOUT.targets([encoded({"topic": ("a",), "tones": ("y",)})])).float()
    assert losses.blind(LAYOUT) == pytest.approx(float(losses.form(LAYOUT)(torch.zeros(1, 5), targets)), rel=1e-6)
    assert losses.blind(Layout((Cut("topic", ONE_OF, ("a", "b")),))) == pytest.approx(math.log(2))
