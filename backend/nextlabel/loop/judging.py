"""Says on the status board what the control set says of what the queue follows. Asks nobody anything."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning import judging
from nextlabel.learning.judging import ANSWERED, ControlText, Said, answering, counting, judge, until
from nextlabel.loop.controlling import control_texts
from nextlabel.loop.said import scores_of
from nextlabel.problems.form import Form, OneQuestion, Part, answer_to, answered
from nextlabel.problems.judgement import NO_JUDGEMENT, Judgement
from nextlabel.store.pool import Pool
from nextlabel.store.state import ControlState
from nextlabel.store.status import StatusBoard
from nextlabel.values.layout import ONE_OF
from nextlabel.values.versions import Card
from nextlabel.versions.judging import card_of, known_to
from nextlabel.versions.registry import Registry


class Judge:
    """Judges anew whenever answers, marks or the order in force are others, or not all was scored."""

    def __init__(self, registry: Registry, board: StatusBoard):
        self._registry, self._board = registry, board
        self._judged: dict[int, tuple[object, ...]] = {}  # what the last judgement of a project was made of
        self._answered: dict[int, tuple[object, ...]] = {}  # of that, what is the same of every order

    def look(self, pool: Pool, project: int, config: LabelConfig, order: str, card: Card | None) -> bool:
        """Judge the order of that name, of the version of the card; without a card say how far the set is answered.
        Returns whether the set's answers are others than at the last look."""
        if not config.control.share:
            self._tell(project, NO_JUDGEMENT)
            return False
        texts = control_texts(pool, answered(config.question))
        last_task = judged_to(pool, texts)
        if last_task != pool.state(ControlState).judged_to:
            pool.update(ControlState, lambda state: replace(state, judged_to=last_task))
        answers = (config.labels, config.control.share, last_task, pool.state(ControlState).noted, texts)
        made_of = (order, *answers)
        if self._judged.get(project) == made_of:
            return False
        asked = to_judge(pool, texts)
        said = self._said(pool, card, order, asked) if card else None
        self._tell(project, judged(pool, config, texts, said))
        if said is None or said.probs_of.keys() >= set(asked):
            self._judged[project] = made_of
        before, self._answered[project] = self._answered.get(project), answers
        return before != answers

    def _tell(self, project: int, judgement: Judgement) -> None:
        if judgement != self._board.quality(project):
            self._board.put_quality(project, judgement)

    def _said(self, pool: Pool, card: Card, order: str, task_ids: Sequence[int]) -> Said:
        scores, card = scores_of(pool, self._registry, card, order, task_ids), card_of(self._registry, card, order)
        probs_of = dict(zip(scores.ids_N.tolist(), scores.probs_NC, strict=True))
        return Said(
            order, card.labels, probs_of, known_to(self._registry, card.project, card.version, order), card.layout
        )


def to_judge(pool: Pool, texts: Sequence[ControlText]) -> list[int]:
    """The tasks by which a version is judged, of copies one: those with an answer that counts."""
    return [text.task_ids[0] for text in counting(until(texts, judged_to(pool, texts))) if text.state == ANSWERED]


def judged(pool: Pool, config: LabelConfig, texts: Sequence[ControlText], said: Said | None) -> Judgement:
    """What the texts say of what was `said` of them, as far as the pool knows; of a form also of each question."""
    asks, noted, last_task = config.question, pool.state(ControlState).noted, judged_to(pool, texts)
    if not isinstance(asks, Form):
        return judge(config.control.share, texts, last_task, asks.labels, said, noted)

    def of_one(
        name: str, kind: str, labels: tuple[str, ...], said: Said | None, answer_in: Callable[[str], str | None]
    ) -> Judgement:
        own = [answering(text, answer_in) for text in texts]
        return replace(judge(config.control.share, own, last_task, labels, said, noted, kind), question=name)

    each = tuple(
        of_one(part.name, part.kind, part.spellings.labels, said and _about(said, part), partial(answer_to, part))
        for part in asks.parts
    )
    main = asks.measured
    return replace(
        of_one(main.name, ONE_OF, main.labels, said and _narrowed(said, main), main.label_in), questions=each
    )


def _about(said: Said, part: Part) -> Said:
    """What was said of one of several questions."""
    found = said.layout.of_question(part.name, part.kind) if said.layout else None
    if found is None:
        return replace(said, labels=(), layout=None)
    layout, at = found
    probs_of = {task: probs_C[at] for task, probs_C in said.probs_of.items()}
    return replace(said, labels=layout.cuts[0].labels, probs_of=probs_of, layout=layout)


def _narrowed(said: Said, about: OneQuestion) -> Said:
    """The same as if nothing else were asked."""
    probs_of = {task: about.narrowed(said.layout, probs_C[None])[0] for task, probs_C in said.probs_of.items()}
    return replace(said, labels=about.labels_of(said.layout), probs_of=probs_of)


def judged_to(pool: Pool, texts: Sequence[ControlText]) -> int:
    """The id of the last task that the figures are about."""
    return judging.judged_to(texts, pool.state(ControlState).judged_to, pool.last_id())
