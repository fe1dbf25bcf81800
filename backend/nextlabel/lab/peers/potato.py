"""Potato's active learning, through the routes of its own server. Runs in an environment that has Potato; imports no
other tool.

The server's Flask application runs in this process; one annotator signs up, reads what it serves and posts answers, as
a browser would, but waits for each of its trainings. The start set stands first in its data file.
"""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import yaml
from potato import active_learning_manager
from potato.flask_server import create_app

from nextlabel.lab.peers.channel import Channel, Game, opened

SCHEME = "answer"
LOGIN = {"email": "oracle", "pass": "oracle"}


def play(channel: Channel) -> None:
    """Answer what is served; at each number of labels wait for a training on all of them, and tell its predictions."""
    game = channel.game
    random.seed(game.seed)
    torch.set_num_threads(game.threads)
    active_learning_manager.SentenceTransformerVectorizer = Remembering
    client, engine = serve(game, Path.cwd())
    known = dict(zip(game.start, channel.ask(game.start), strict=True))
    for number in range(1, game.at[-1] + 1):
        position = served(client)
        if position not in known:
            [known[position]] = channel.ask([position])
        answer(client, position, game.labels[known[position]])
        if number in game.at:
            engine.force_training()
        engine._training_queue.join()
        channel.spent("fit")
        if number in game.at:
            tell(channel, engine._models[SCHEME], known)
        if number < game.at[-1]:
            turn_page(client, position)


def tell(channel: Channel, model: Any, known: Iterable[int]) -> None:
    """What Potato's model says of dev, of test, and of the texts that it knows the labels of."""
    game = channel.game
    learnt = [game.train[i] for i in known]
    probs = [probabilities(model, texts, game.labels) for texts in (game.dev, game.test, learnt)]
    channel.spent("evaluate")
    channel.tell(*probs)


class Remembering(active_learning_manager.SentenceTransformerVectorizer):  # type: ignore[misc]  # it has no types
    """Potato's vectoriser; a text that was embedded before is not embedded again."""

    known: ClassVar[dict[str, Any]] = {}

    def transform(self, X: Any) -> Any:
        """Embeddings (N, D)."""
        new = [text for text in dict.fromkeys(X) if text not in self.known]
        if new:
            self.known.update(zip(new, super().transform(new), strict=True))
        return np.array([self.known[text] for text in X])


def serve(game: Game, home: Path) -> tuple[Any, Any]:
    """A client of the server, logged in, and the server's engine."""
    (home / "config.yaml").write_text(yaml.safe_dump(configuration(game, home)), encoding="utf-8")
    first = set(game.start)
    order = [*game.start, *(i for i in range(len(game.train)) if i not in first)]
    lines = [json.dumps({"id": str(i), "text": game.train[i]}) + "\n" for i in order]
    (home / "data.jsonl").write_text("".join(lines), encoding="utf-8")
    client = create_app(str(home / "config.yaml")).test_client()
    expect(client.post("/register", data={**LOGIN, "action": "signup"}), 302)
    expect(client.get("/annotate"), 200)
    return client, active_learning_manager.get_active_learning_manager()


def configuration(game: Game, home: Path) -> dict[str, Any]:
    """A project of one choice and one annotator a text. Its defaults, but for the labels that its first training waits
    for, and, unless they are asked for, the vectoriser: the checkpoint's embeddings."""
    learning: dict[str, Any] = {"enabled": True, "min_instances_for_training": len(game.start)}
    if not game.defaults:
        learning["vectorizer"] = {"name": "sentence-transformers", "hyperparameters": {"model_name": game.base_model}}
    return {
        "annotation_task_name": "peer",
        "task_dir": str(home),
        "output_annotation_dir": "answers",
        "data_files": ["data.jsonl"],
        "item_properties": {"id_key": "id", "text_key": "text"},
        "annotation_schemes": [
            {"annotation_type": "radio", "name": SCHEME, "description": "Which class?", "labels": list(game.labels)}
        ],
        "assignment_strategy": "active_learning",
        "num_annotators_per_item": 1,
        "random_seed": game.seed,
        "require_password": False,
        "user_config": {"allow_all_users": True, "users": []},
        "active_learning": learning,
    }


def served(client: Any) -> int:
    """The position in train of the text on the annotator's screen."""
    return int(expect(client.get("/api/current_instance"), 200).get_json()["instance_id"])


def answer(client: Any, position: int, label: str) -> None:
    """Post one label."""
    annotations = {f"{SCHEME}:::{label}": "true"}
    expect(client.post("/updateinstance", json={"instance_id": str(position), "annotations": annotations}), 200)


def turn_page(client: Any, position: int) -> None:
    """Ask for the next text, as the button does."""
    expect(client.post("/annotate", json={"action": "next_instance", "instance_id": str(position)}), 200)


def expect(response: Any, status: int) -> Any:
    """The response. Raises `RuntimeError` when its status is another one."""
    if response.status_code != status:
        raise RuntimeError(f"{response.request.path} answered {response.status}, not {status}: {response.text[:500]}")
    return response


def probabilities(model: Any, texts: Any, labels: Any) -> Any:
    """What Potato's model says of texts (N, C); 0 for a class that it has not met."""
    probs_NC = np.zeros((len(texts), len(labels)))
    if texts:
        probs_NC[:, [labels.index(name) for name in model.classes_]] = model.predict_proba(list(texts))
    return probs_NC


if __name__ == "__main__":
    play(opened())
