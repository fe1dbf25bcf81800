"""What a person should hear of a project, found at each look at it: warnings and remarks, in the words of `notices`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nextlabel.errors import NextlabelError
from nextlabel.labelstudio import notices
from nextlabel.labelstudio.client import UNCERTAINTY, Project
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.notices import Notice
from nextlabel.learning.carrying import carried, turned
from nextlabel.loop.copies import HOLD, copies_in
from nextlabel.loop.elsewhere import Elsewhere
from nextlabel.loop.fitting import Fitter, answers_form
from nextlabel.loop.heading import has_heads, rows_of
from nextlabel.loop.outside import come_by_another_way
from nextlabel.loop.sync import annotators_at_work
from nextlabel.model import checkpoints
from nextlabel.settings import ProjectSettings, Settings, for_project
from nextlabel.store.pool import Pool
from nextlabel.store.state import OutsideState, ProjectState
from nextlabel.store.status import StatusBoard
from nextlabel.values.options import OF_0_1_0
from nextlabel.values.survey import Copies, UnknownWords
from nextlabel.values.versions import Card
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

TEXTS = 256  # of a project that are looked at for what the tokenizer does not know


@dataclass(frozen=True)
class Seen:
    """A project as it is. `version` is the active one, `ours` what the queue should follow; empty without any. So many
    open tasks are `certified`; `overruled`: a person has chosen that the queue follows something else."""

    project: Project
    config: LabelConfig
    version: str | None
    ours: str
    certified: int
    overruled: bool


class Noticer:
    """Finds the notices of a project; writes nothing but what it has counted."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        board: StatusBoard,
        audits: Audits,
        fitter: Fitter,
        elsewhere: Elsewhere | None,
    ):
        self._settings, self._registry, self._board = settings, registry, board
        self._audits, self._fitter, self._elsewhere = audits, fitter, elsewhere

    def notices(self, pool: Pool, seen: Seen) -> list[Notice]:
        """All of them; which comes first is for `notices.told` to say."""
        project = seen.project.id
        found = [*self._on_project(pool, project, seen.config), *self._on_damage(project, seen.version)]
        found += self._on_options(project)
        if seen.version:
            found += self._on_version(pool, seen.config, self._registry.card(project, seen.version))
        if self._elsewhere is not None:
            asked = project, seen.version
            found.append(notices.on_cluster(self._elsewhere.words(*asked), self._elsewhere.is_amiss(*asked)))
        if seen.certified and (audit := self._audits.over(project)):
            found.append(notices.certified(seen.certified, audit.version, project))
        return [*found, *self._on_queue(pool, seen)] if seen.ours else found

    def _own(self, project: int) -> ProjectSettings:
        return for_project(self._settings, self._registry.options(project))

    def _on_options(self, project: int) -> Iterator[Notice]:
        options = self._registry.options(project)
        if options.defaults == OF_0_1_0:
            yield notices.old_defaults(project)
        elif self._own(project).control_share and not options.control_seed:
            yield notices.no_control_set(project, has_seed=False)
        if options.reopened:
            yield notices.open_again(len(options.reopened), project)

    def _on_queue(self, pool: Pool, seen: Seen) -> Iterator[Notice]:
        project, options = seen.project, self._registry.options(seen.project.id)
        if project.show_predictions and seen.config.control.share:
            yield notices.control_tasks_show(project.id)
        if come_by_another_way(outside := pool.state(OutsideState), annotators_at_work(pool)):
            yield notices.another_way(outside.example)
        if project.sampling != UNCERTAINTY:
            yield notices.sampling_changed(project.sampling, project.id, options)
        if seen.overruled:
            yield notices.follows_another(project.model_version, project.id, options)

    def _on_project(self, pool: Pool, project: int, config: LabelConfig) -> list[Notice]:
        base = self._board.base_model(self._settings.base_model)
        unknown, survey = self._unknown_words(pool, config), pool.survey()
        return [
            *([notices.base_model_fails(base.message)] if base.state == "failed" else []),
            *notices.on_unknown_words(unknown, self._settings.base_model, survey),
            *notices.on_tasks(survey, config, project),
            *notices.on_copies(self._copies(pool, project, config), project),
            *notices.on_too_many(config),
            *notices.on_wanted(self._registry.options(project), config, project),
            *notices.on_counted_less(pool.counted_less(), config.counting, project),
        ]

    def _copies(self, pool: Pool, project: int, config: LabelConfig) -> Copies:
        return copies_in(pool, config.question) if self._own(project).near_copies == HOLD else Copies()

    def _unknown_words(self, pool: Pool, config: LabelConfig) -> UnknownWords:
        """Of a sample of the texts, which is drawn anew when the project has doubled."""
        known = pool.state(ProjectState)
        sample = f"{self._settings.base_model} {config.reading} {pool.size().bit_length()}"
        if known.sample == sample:
            return known.unknown_words
        try:
            unknown = self._counted_unknown(pool)
        except NextlabelError:  # said by the look at the base checkpoint
            return UnknownWords()
        pool.update(ProjectState, lambda state: replace(state, sample=sample, unknown_words=unknown))
        return unknown

    def _counted_unknown(self, pool: Pool) -> UnknownWords:
        examples = pool.sample(TEXTS)
        shares_N = checkpoints.unknown_shares(self._settings.base_model, examples)
        found = [example.id for example, share in zip(examples, shares_N, strict=True) if share > notices.MOST]
        return UnknownWords(len(examples), len(found), min(found, default=0))

    def _on_version(self, pool: Pool, config: LabelConfig, card: Card) -> Iterator[Notice]:
        if card.of_labels and self._registry.newest(card.project) == card.version:
            yield notices.quick_version(card.version, card.examples, card.of_labels)
        if card.unjudged:
            yield notices.not_judged(card.version, card.unjudged, card.project)
        if not answers_form(card, config):
            renewed = has_heads(card, self._own(card.project)) and not self._fitter.stands(card.project)
            answers = set(pool.labels(config.question, holdout=False).values())
            rows = rows_of(card, config, answers) if renewed and answers else None
            said = carried(rows, config.question)
            kinds = turned(card.labels, card.layout, config.question, config.asked[0].name)
            yield notices.form_changed(card.version, said.kept, said.begun, said.missing, kinds)

    def _on_damage(self, project: int, version: str | None) -> list[Notice]:
        """What to say when the promoted version is not the active one."""
        promoted = self._registry.promoted(project)
        if promoted in ("", version) or self._registry.current(project) != version:  # promoted since
            return []
        why = self._registry.damage(project, promoted) or "its card is gone or cannot be read"
        return [notices.version_damaged(promoted, why, version, project)]
