"""How a version is fitted: the steps of an optimiser on labelled texts, from a base checkpoint."""

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from nextlabel.model import losses
from nextlabel.model.batching import fitting_batches
from nextlabel.model.checkpoints import checked_length, from_pretrained
from nextlabel.model.classifier import LAYOUT, RECORDABLE, Classifier, Progress, Recipe, assembled, memory_of
from nextlabel.model.cuda_graphs import Replayed, Work
from nextlabel.model.device_tokens import Batch, DeviceTokens, Side
from nextlabel.model.devices import pick_device
from nextlabel.model.probing import wants_fewer
from nextlabel.model.schedule import Schedule
from nextlabel.model.tokens import TokenCache
from nextlabel.model.word_table import rows_in_use
from nextlabel.values.arrays import Array, Targets
from nextlabel.values.examples import Example
from nextlabel.values.layout import Layout

log = logging.getLogger(__name__)

MAX_GRADIENT_NORM = 1.0
RUNNING = 16  # steps that the running mean of the loss is over, about
LEAST_EPOCHS = 5  # before a fit may count as converged
LOOK_EVERY = 8  # steps: a look at the loss waits for a GPU


def fit(
    recipe: Recipe,
    labels: Sequence[str],
    examples: Sequence[Example],
    targets: Targets,
    progress: Progress | None = None,
    cache: TokenCache | None = None,
    layout: Layout | None = None,
    weights_N: Array | None = None,
) -> Classifier:
    """Fine-tune the base checkpoint: AdamW, linear decay with warm-up, fp32 weights, mixed precision where it pays.

    The same arguments give the same classifier on the same device and number of threads. A batch that does not fit
    into memory is computed in smaller pieces with the same sum of gradients. `progress` is first told 0, when model and
    data are ready, and last how many steps were made: fewer than the recipe's where the running mean of the loss came
    below its `stop_loss`. With a `layout`, of which `labels` are the names, targets are what it makes of answers,
    without one they are class numbers. An example's loss counts by its weight in `weights_N`, from 0 to 1. Raises
    `NoModelError`, `BadSettingError`, and `NoMemoryError` when one example alone does not fit.
    """
    device = pick_device(recipe.device)
    torch.manual_seed(recipe.seed)
    model, tokenizer = from_pretrained(
        recipe.base_model,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        ignore_mismatched_sizes=True,  # a checkpoint that was fitted on other labels gets a new head
    )
    if hasattr(model.config, LAYOUT):  # of a checkpoint that was fitted on a form
        delattr(model.config, LAYOUT)
        model.config.problem_type = None
    tokenizer.model_max_length = checked_length(recipe.max_length, model, recipe.base_model)
    classifier = assembled(model, tokenizer, labels, device, recipe.precision, cache, layout)
    with memory_of(device):
        _optimise(classifier, recipe, examples, targets, weights_N, progress or (lambda done, total: None))
    model.eval()
    return classifier


def _optimise(
    classifier: Classifier,
    recipe: Recipe,
    examples: Sequence[Example],
    targets: Targets,
    weights_N: Array | None,
    progress: Progress,
) -> None:
    model = classifier.model.train()
    tokens = classifier.encode(examples)
    rng = np.random.default_rng(recipe.seed)
    batches = list(fitting_batches(tokens.lengths_N, recipe.batch_size, recipe.steps, rng))
    on_gpu = classifier.device.type == "cuda"
    # A recorded step reads its rate on the GPU.
    rate = torch.tensor(recipe.learning_rate, device=classifier.device) if on_gpu else recipe.learning_rate
    padding = {classifier.tokenizer.pad_token_id, model.config.pad_token_id}  # some models pad further on their own
    with rows_in_use(model, np.append(tokens.ids_M, sorted(padding))):
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0, fused=True, capturable=on_gpu)
        schedule = Schedule(recipe.steps, recipe.warmup)
        rates = LambdaLR(optimiser, schedule.share)
        texts = classifier.placed(tokens)
        step = _Step(classifier, texts, targets, optimiser, weights_N=weights_N)
        progress(0, recipe.steps)
        for done, batch in enumerate(texts.batches(batches), start=1):
            step(batch)
            if _may_look(recipe, done, len(examples)) and float(step.mean_loss) < recipe.stop_loss:
                schedule.converged(done)
            rates.step()
            progress(done, schedule.last)
            if done == schedule.last:
                break
        step.forget_recordings()


def _may_look(recipe: Recipe, done: int, examples: int) -> bool:
    """Whether a fit on so many examples may end early from here on."""
    least = math.ceil(LEAST_EPOCHS * examples / recipe.batch_size)
    return recipe.stop_loss > 0 and done >= least and done % LOOK_EVERY == 0


class _Step:
    """A step of an optimiser on some examples, in as many `pieces` as memory needs; replayed on a GPU. `mean_loss` is
    the running mean of an example's loss, as the examples count: where all count little, it is no lower for that."""

    def __init__(
        self,
        classifier: Classifier,
        texts: DeviceTokens,
        targets: Targets,
        optimiser: Any,
        pieces: int = 1,
        weights_N: Array | None = None,
    ):
        self.pieces = pieces
        self._classifier, self._texts, self._optimiser = classifier, texts, optimiser
        self._targets = torch.as_tensor(targets, device=classifier.device)
        lighter = weights_N is not None and (weights_N < 1).any()
        self._weights = torch.as_tensor(weights_N, dtype=torch.float32, device=classifier.device) if lighter else None
        blind = math.log(len(classifier.labels))
        self._loss: losses.Loss = losses.single_choice
        if layout := classifier.layout:
            self._targets, self._loss, blind = self._targets.float(), losses.form(layout), losses.blind(layout)
        self.mean_loss = torch.tensor(blind, device=classifier.device)  # as if nothing were known
        replays = classifier.device.type == "cuda" and type(classifier.model).__name__ in RECORDABLE
        self._replayed: Work | None = Replayed(self._once, classifier.device) if replays else None

    def __call__(self, batch: Batch) -> None:
        """Take the step."""
        length = int(self._classifier.rounded(batch.longest, self._classifier.length_step))
        while True:
            try:
                return (self._replayed or self._once)(batch.rows_R, length)
            except (RuntimeError, ValueError) as error:
                why = wants_fewer(error)
                if not why or self.pieces >= len(batch):
                    raise
            # Outside the except block: while the exception lives, its traceback keeps the activations alive.
            self._optimiser.zero_grad()
            self.forget_recordings()  # they have memory of their own, and are of larger pieces
            self._classifier.release_memory()
            self.pieces *= 2
            log.warning("%s: computing each batch in %d pieces; the effective batch stays", why, self.pieces)

    def forget_recordings(self) -> None:
        """They and the step hold each other, and with it the optimiser's sums, until Python looks for such rings."""
        self._replayed = None

    def _once(self, rows_R: torch.Tensor, length: int) -> None:
        whole = torch.zeros_like(self.mean_loss)
        count = 1.0 if self._weights is None else self._weights[rows_R].mean()
        for piece, of_length in self._in_pieces(rows_R, length):
            logits = self._classifier.forward(fast=True)(**self._classifier.inputs(self._texts, piece, of_length))
            weights = None if self._weights is None else self._weights[piece]
            loss = self._loss(logits.float(), self._targets[piece], weights) / len(rows_R)
            torch.autograd.backward(loss)
            whole += loss.detach()
        torch.nn.utils.clip_grad_norm_(self._classifier.model.parameters(), MAX_GRADIENT_NORM)
        self._optimiser.step()
        self._optimiser.zero_grad()
        self.mean_loss.lerp_(whole / count, 1 / RUNNING)

    def _in_pieces(self, rows_R: torch.Tensor, length: int) -> Iterator[tuple[torch.Tensor, int]]:
        """What goes through the model together, and the length it is padded to."""
        for piece in rows_R.tensor_split(min(self.pieces, len(rows_R))):
            if self._classifier.padding is Side.NOWHERE:
                yield from self._texts.of_equal_length(piece)
            else:
                yield piece, length
