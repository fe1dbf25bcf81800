"""small-text's own loop on its own transformer classifier. Runs in an environment that has small-text; imports no other
tool.

Its fits want a validation set: with our recipe it is one labelled text, which nothing is decided by, so that all labels
are learnt from. With its defaults it holds back a tenth of the labels and may stop early.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from small_text import (
    LABEL_UNLABELED,
    BreakingTies,
    PoolBasedActiveLearner,
    TransformerBasedClassificationFactory,
    TransformerModelArguments,
    TransformersDataset,
)
from transformers import AutoTokenizer

from nextlabel.lab.peers.channel import Channel, Game, opened


def play(channel: Channel) -> None:
    """Ask, learn and tell until the last number of labels."""
    game = channel.game
    np.random.seed(game.seed)
    torch.manual_seed(game.seed)
    torch.set_num_threads(game.threads)
    start = np.array(game.start)
    train, dev, test = data_sets(game, start, channel.ask(start))
    factory = classifiers(game)
    learner = PoolBasedActiveLearner(factory, BreakingTies(), train, fit_kwargs=fit_options(game, train))
    set_epochs(factory, game, len(start))
    learner.initialize(start)
    channel.spent("fit")
    for wanted in game.at:
        while len(learner.indices_labeled) < wanted:
            query(channel, learner, factory, min(game.batch, wanted - len(learner.indices_labeled)))
        learnt = train[learner.indices_labeled]
        probs = [learner.classifier.predict_proba(part) for part in (dev, test, learnt)]
        channel.spent("evaluate")
        channel.tell(*probs)


def query(channel: Channel, learner: Any, factory: Any, count: int) -> None:
    """A step of its loop: it chooses `count` texts, learns their labels, and fits anew on all of them."""
    chosen = learner.query(num_samples=count)
    channel.spent("score")
    answers = np.array(channel.ask(chosen))
    set_epochs(factory, channel.game, len(learner.indices_labeled) + count)
    learner.update(answers)
    channel.spent("fit")


def data_sets(game: Game, start: Any, answers: Sequence[int]) -> list[Any]:
    """Train, dev and test as small-text reads them; labels are known of the start set."""
    tokenizer, classes = AutoTokenizer.from_pretrained(game.base_model), np.arange(len(game.labels))

    def read(texts: Sequence[str], labels: Any) -> Any:
        return TransformersDataset.from_arrays(texts, labels, tokenizer, classes, game.max_length)

    unknown = {part: np.full(len(texts), LABEL_UNLABELED) for part, texts in game.parts.items()}
    unknown["train"][start] = answers
    return [read(texts, unknown[part]) for part, texts in game.parts.items()]


def classifiers(game: Game) -> Any:
    """Its factory: on the checkpoint, all else its defaults or what our recipe says."""
    ours = {} if game.defaults else {"train_batch_size": game.batch_size}
    head = {
        "ignore_mismatched_sizes": True
    }  # a checkpoint that was fitted on other labels gets a new one, as ours does
    model = TransformerModelArguments(game.base_model, model_kwargs=head, show_progress_bar=False, **ours)
    fits = {} if game.defaults else {"lr": game.learning_rate}
    return TransformerBasedClassificationFactory(model, len(game.labels), {"device": "cpu", **fits})


def fit_options(game: Game, train: Any) -> dict[str, Any]:
    """What its fits are told beside the labels."""
    if game.defaults:
        return {}
    return {"early_stopping": "none", "validation_set": train[np.array(game.start[:1])]}


def set_epochs(factory: Any, game: Game, labels: int) -> None:
    """Our recipe's steps as the nearest number of its epochs."""
    if not game.defaults:
        factory.classification_kwargs["num_epochs"] = max(1, round(game.steps[labels] / ceil(labels / game.batch_size)))


if __name__ == "__main__":
    play(opened())
