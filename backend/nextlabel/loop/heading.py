"""When the head of a version is fitted again, and to what. Needs no Label Studio: it works from the local copy."""

import logging
from collections.abc import Collection, Mapping

import numpy as np

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.carrying import Rows, rows_for
from nextlabel.learning.heads import EVERY, NO_LIGHTER, Head, make_head
from nextlabel.loop.orders import keep
from nextlabel.settings import ProjectSettings
from nextlabel.store.pool import EXACT, FEATURES, Pool
from nextlabel.values.arrays import Features, Ints
from nextlabel.values.layout import asks
from nextlabel.values.versions import Card, is_ours, version_of
from nextlabel.versions import heads
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

AT_A_TIME = 512  # labelled texts without features of which some are computed on the spot


def has_heads(card: Card, own: ProjectSettings) -> bool:
    """Whether the order of a version is renewed by heads."""
    return card.features > 0 and own.head == "on"


class HeadMaker:
    """Keeps the newest head of a version in step with the labels."""

    def __init__(self, registry: Registry, resident: LoadedVersions):
        self._registry, self._resident = registry, resident

    def newest(
        self,
        pool: Pool,
        card: Card,
        config: LabelConfig,
        labels: Mapping[int, str],
        others: int,
        lighter: Mapping[int, float] = NO_LIGHTER,
        followed: str = "",
    ) -> tuple[str, Head] | None:
        """The head to order by, with its name, fitted again if it is time; None: the version's own layer.

        It is time when the labels that the head does not know, or knows otherwise, are `EVERY` or, with `others` at
        work, half as many more as there are; and at once when it knows labels that are left out by now, has other
        rows than the form asks for, or would forget a label that the order which the queue has `followed` knows.
        `lighter` are the weights of labels that count less than others.
        """
        found = heads.newest(self._registry.path(card.project, card.version))
        known = found[1].known if found else self._known_by_version(pool, card, config, labels)
        rows = rows_of(card, config, set(labels.values()))
        known_as = {label: rows.known_as(label) for label in set(labels.values())} if rows else {}
        usable = {task: known_as[label] for task, label in labels.items() if known_as.get(label)}
        if rows is None or not usable:  # of another form, with which a version comes soon
            return found
        left_out = pool.with_uncounted() & known.keys() - usable.keys()
        as_asked = _asks(found[1] if found else card) == _asks(rows)
        few = differing(known, usable) < EVERY + others // 2
        if as_asked and few and not left_out and not self._forgets(card, known, usable, followed):
            return found
        return self.renewed(pool, card, rows, usable, found[1] if found else None, lighter)

    def renewed(
        self,
        pool: Pool,
        card: Card,
        rows: Rows,
        labels: Mapping[int, str],
        last: Head | None,
        lighter: Mapping[int, float] = NO_LIGHTER,
    ) -> tuple[str, Head]:
        """The next head, with its name: of those of the labels whose texts can be read."""
        self._complete(pool, card, labels)
        ids_N, features_ND = features_of(pool, card, labels)
        known = {int(task): labels[int(task)] for task in ids_N}
        fitted = rows.taken(self._resident.last_layer(card))
        near = last.layer if last and _asks(last) == _asks(rows) else None
        head = make_head(fitted, rows.labels, known, features_ND, near=near, layout=rows.layout, lighter=lighter)
        published = {prediction.version for prediction in pool.published()}
        name = heads.save_next(self._registry.path(card.project, card.version), head, published)
        log.info("project %d: %s knows %d labels", card.project, name, len(known))
        return name, head

    def _known_by_version(
        self, pool: Pool, card: Card, config: LabelConfig, labels: Mapping[int, str]
    ) -> Mapping[int, str]:
        """The labels that the version was fitted on, without those of tasks whose `labels` count with a copy's. Where
        copies contradict each other, a task has in `labels` what they come to, as it had in the fit."""
        own = pool.labels(config.question, holdout=False)
        counted_with_others = own.keys() - labels.keys()
        fitted = self._registry.fitted_labels(card.project, card.version)
        return {
            task: labels.get(task, label) if own.get(task) == label else label
            for task, label in fitted.items()
            if task not in counted_with_others
        }

    def _forgets(self, card: Card, known: Mapping[int, str], labels: Mapping[int, str], followed: str) -> bool:
        """Whether the last head of another version, which the queue has followed, knows one of the labels and this one
        does not: it came while the version was fitted."""
        if not is_ours(followed) or version_of(followed) == card.version:
            return False
        last = heads.newest(self._registry.path(card.project, version_of(followed)))
        before = last[1].known if last else {}
        return any(labels.get(task) == label != known.get(task) for task, label in before.items())

    def _complete(self, pool: Pool, card: Card, labels: Mapping[int, str]) -> None:
        """See that there are features of what is labelled: of imported labels, or edited texts, there may be none."""
        missing = pool.without_vector(FEATURES, card.version, list(labels))
        exact_ids, _ = pool.vectors(EXACT, card.version, [example.id for example in missing])
        left = [example for example in missing if example.id not in set(exact_ids.tolist())]
        for start in range(0, len(left), AT_A_TIME):
            keep(pool, card.version, self._resident.score(card, left[start : start + AT_A_TIME], False, features=True))


def rows_of(card: Card, config: LabelConfig, answers: Collection[str]) -> Rows | None:
    """The rows of a head of the version for what is asked now; None where the version can answer none of it."""
    return rows_for(card.labels, card.layout, config.question, config.asked[0].name, config.label_of, answers)


def _asks(of: Card | Head | Rows) -> tuple[object, ...]:
    """Labels and questions."""
    return of.labels, asks(of.layout)


def differing(known: Mapping[int, str], labels: Mapping[int, str]) -> int:
    """How many labels are in one of the two alone, or are others."""
    return sum(known.get(task) != labels.get(task) for task in known.keys() | labels.keys())


def features_of(pool: Pool, card: Card, task_ids: Collection[int]) -> tuple[Ints, Features]:
    """Ids of tasks, ascending, and what the version's last layer read of their texts: in fp32 where that is known."""
    ids_N, features_ND = pool.vectors(FEATURES, card.version, task_ids)
    exact_M, exact_MD = pool.vectors(EXACT, card.version, task_ids)
    rows = {int(task): row.astype(np.float32) for task, row in zip(ids_N, features_ND, strict=True)}
    rows |= {int(task): row for task, row in zip(exact_M, exact_MD, strict=True)}
    ordered = sorted(rows)
    return np.array(ordered, dtype=np.int64), np.stack([rows[task] for task in ordered])
