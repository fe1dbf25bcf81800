"""Who labels a project, how fast and how much alike, from its local copy, for the status board. Names only if a lead
wants them."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime

from nextlabel.labelstudio.client import LabelStudioClient, StudioRefusedError, moment
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.problems.form import Form
from nextlabel.problems.people import Answer, Given, People, agreement, pace_s, paced, persons, today
from nextlabel.store.pool import Pool
from nextlabel.values.counting import DELETED
from nextlabel.values.labels import Vote

log = logging.getLogger(__name__)

OF_FORMS = "the project asks several questions, or one with several answers, and that is not compared yet"
NONE_SHARED = (
    "no task that was drawn at random was answered by two people, and only such tasks tell how far people agree"
)


def figures(
    pool: Pool,
    config: LabelConfig,
    names: Callable[[], Mapping[str, str]] | None,
    now: float,
    drawn: Collection[int] = (),
) -> People:
    """What the copy says `now`. `names` of the accounts, by their ids, are asked for if they are to be shown. Beside
    the control set tasks that were `drawn` at random for a second answer tell how far people agree, and no others."""
    given, shared = [*_given(pool)], [*_shared(pool, config, drawn)]
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    why = OF_FORMS if isinstance(config.question, Form) else "" if shared else NONE_SHARED
    everybody = persons(given, shared, names(), midnight) if names else ()
    return People(
        now,
        names is not None,
        today(given, midnight),
        pace_s(given),
        agreement(shared),
        why,
        everybody,
        paced(given),
    )


def _given(pool: Pool) -> Iterator[Given]:
    """Labels that were given in Label Studio's editor, which alone says how long that took; edits add up."""
    for account, when, seconds in pool.by_hand():
        if when:
            yield Given(account, moment(when).timestamp(), seconds)


def _shared(pool: Pool, config: LabelConfig, drawn: Collection[int]) -> Iterator[tuple[Answer, Answer]]:
    """Of each task that was drawn at random, the answers of the first two people, by hand."""
    if isinstance(config.question, Form):
        return
    second = {one.example.id: [vote for vote in one.votes if vote.weight] for one in pool.asked(drawn)}
    for votes in (second | pool.control_votes()).values():
        first = _first_of_each(config, votes)
        if len(first) > 1:
            yield first[0], first[1]


def _first_of_each(config: LabelConfig, votes: Sequence[Vote]) -> list[Answer]:
    found = dict[str, Answer]()
    for vote in sorted(votes, key=lambda vote: vote.when):
        label = config.label_of(vote.label)
        if vote.seconds is not None and vote.account != DELETED and label is not None:
            found.setdefault(vote.account, Answer(vote.account, label))
    return list(found.values())


def names_of(studio: LabelStudioClient) -> Mapping[str, str]:
    """E-mail addresses of the accounts, by their ids; none where the token may not see them."""
    try:
        return {str(account): email for account, email in studio.accounts().items()}
    except StudioRefusedError as error:
        log.warning("people are shown by the numbers of their accounts: %s", error)
        return {}
