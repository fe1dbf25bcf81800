"""Whether fits can begin with a base checkpoint, found out before the first label is there."""

import time
from dataclasses import dataclass
from functools import partial

import torch

from nextlabel.model.checkpoints import OwnDraws, checked_length, from_pretrained, too_long
from nextlabel.model.classifier import Classifier, Recipe, assembled, in_fast_precision, memory_of
from nextlabel.model.devices import name_of, pick_device
from nextlabel.model.probing import REFUSALS, TEXTS, cannot_compute, is_out_of_memory, why_not
from nextlabel.processes import trim_heap
from nextlabel.values.examples import Example


@dataclass(frozen=True)
class BaseCheck:
    """What a base checkpoint turned out to be. `architecture`: its model's class; `parameters`: how many, with a
    head for two labels; `why_fp32`: empty where fits compute in bf16; `seconds`: what the check took."""

    base_model: str
    architecture: str
    device: str
    precision: str
    why_fp32: str
    parameters: int
    seconds: float


def check_base(recipe: Recipe) -> BaseCheck:
    """Whether fits with this recipe can begin: loads model and tokenizer, reads a text of `max_length` word pieces,
    goes once forwards and backwards in the precision that fits will use, and keeps nothing.

    Raises `NoModelError`, `BadSettingError` and `NoMemoryError` as `fit` does. A fit may run in another thread: it is
    not disturbed, for nothing is drawn from torch's own generator.
    """
    found = _looked_at(recipe)
    trim_heap()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def _looked_at(recipe: Recipe) -> BaseCheck:
    start = time.perf_counter()
    device = pick_device(recipe.device)
    with OwnDraws():
        model, tokenizer = from_pretrained(recipe.base_model, num_labels=2, ignore_mismatched_sizes=True)
    tokenizer.model_max_length = checked_length(recipe.max_length, model, recipe.base_model)
    classifier = assembled(model, tokenizer, ("0", "1"), device, recipe.precision)
    with memory_of(device):
        _read_a_long_text(classifier, recipe)
        _try_to_fit(classifier)
    return BaseCheck(
        base_model=recipe.base_model,
        architecture=type(model).__name__,
        device=str(device),
        precision=name_of(classifier.precision),
        why_fp32=_why_fp32(classifier, recipe),
        parameters=model.num_parameters(),
        seconds=time.perf_counter() - start,
    )


def _read_a_long_text(classifier: Classifier, recipe: Recipe) -> None:
    try:
        classifier.predict_proba([Example(0, "word " * recipe.max_length)])
    except IndexError as error:  # a table of positions that is not known by its name
        raise too_long(recipe.max_length, recipe.base_model, f"it fails with '{error}'") from error
    except REFUSALS as error:
        if is_out_of_memory(error):
            raise
        raise cannot_compute(type(classifier.model).__name__, f"{recipe.max_length} word pieces", error) from error


def _try_to_fit(classifier: Classifier) -> None:
    tokens = classifier.tokenise([Example(0, TEXTS[0])])
    work = partial(in_fast_precision, classifier, classifier.placed(tokens), tokens.lengths_N)
    why = why_not(work)
    if why:
        raise cannot_compute(type(classifier.model).__name__, "a text to fit on", why)


def _why_fp32(classifier: Classifier, recipe: Recipe) -> str:
    if classifier.precision != torch.float32:
        return ""
    asked = recipe.precision == "fp32"
    return classifier.why_fp32 or ("PRECISION asks for it" if asked else f"bf16 is not faster on {classifier.device}")
