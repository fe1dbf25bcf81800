"""What connecting a project would change, take and cost, found out before anything is changed, here or there.

Label Studio is only read, into a copy that is gone afterwards; times are tried out on the project's own texts.
"""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import numpy as np

from nextlabel.errors import NextlabelError, NoModelError, without_password
from nextlabel.labelstudio import preview_words as words
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.connection import Credentials, Plan
from nextlabel.labelstudio.notices import missing_everywhere, on_tasks, told
from nextlabel.labelstudio.preview_words import Counted, FirstOrder, Fits, Room
from nextlabel.labelstudio.registration import needs_webhook
from nextlabel.labelstudio.tasks import read_task
from nextlabel.learning import quick_version
from nextlabel.learning.start_order import ORDERED_AT_MOST
from nextlabel.loop import fitting, starting
from nextlabel.loop.copies import HOLD, Learnt, learnt_from
from nextlabel.loop.near_copies import AHEAD, MOST_LABELLED, Words
from nextlabel.model.checkpoints import needs_download
from nextlabel.model.speed import Speed, measure
from nextlabel.settings import ProjectSettings, Settings, control_of, for_project
from nextlabel.store.pool import Pool
from nextlabel.values.examples import Example
from nextlabel.versions.registry import Registry

FITTED, SCORED = 128, 256  # texts of the trial: an epoch of the first is of all lengths
HALF = 2  # bytes of a number in a vector that is kept
BESIDE = (
    1.3  # times as long a step takes where Label Studio and the web process need the cores, too (docs/connecting.md)
)


@dataclass(frozen=True)
class ReadProject:
    """A project as it was read, in `seconds`; labels count as its options say."""

    pool: Pool
    config: LabelConfig
    own: ProjectSettings
    learnt: Learnt
    seconds: float
    disk: int


def preview(
    settings: Settings,
    studio: LabelStudioClient,
    credentials: Credentials,
    plan: Plan,
    takes_over: list[str],
    tell: Callable[[str], None],
) -> list[str]:
    """Some ten sentences, and what is wrong with the tasks. `takes_over` are changed options, in words; `tell` hears
    what is being done. Raises `StudioError` when Label Studio cannot be read."""
    project = plan.project.id
    webhook = needs_webhook(studio, project, plan.url, credentials.webhook_headers())
    said = [words.on_settings(plan, webhook, takes_over)]
    said.append(words.on_prelabels(plan, studio.model_versions(project)))
    said.append(words.on_text(plan.config))
    with TemporaryDirectory() as directory, Pool(Path(directory) / "preview.sqlite") as pool:
        tell(f"Reading {plan.project.tasks} tasks")
        read = _read(settings, studio, plan, pool, Path(directory))
        survey = pool.survey()
        said.append(words.on_labels(counted(read), survey, read.config, pool.counted_less()))
        tell("Trying out how fast this machine is with BASE_MODEL")
        said += _on_costs(settings, plan, read)
        odd = told(on_tasks(survey, read.config, project))
    return [*said, *filter(None, (odd.first, *odd.warnings))]


def _read(settings: Settings, studio: LabelStudioClient, plan: Plan, pool: Pool, directory: Path) -> ReadProject:
    own = for_project(settings, plan.options)
    config, start = replace(plan.config, control=control_of(settings, plan.options)), time.perf_counter()
    for page in studio.tasks_after(plan.project.id, 0):
        pool.upsert(read_task(config, task) for task in page)
    seconds = time.perf_counter() - start
    disk = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return ReadProject(pool, config, own, learnt_from(pool, config.question, own.near_copies), seconds, disk)


def counted(read: ReadProject) -> Counted:
    """What becomes of the labels that there are."""
    pool, question = read.pool, read.config.question
    return Counted(
        annotated=len(pool.annotated()),
        learnt=len(read.learnt.to_fit),
        copies=len(read.learnt.known) - len(read.learnt.to_fit),
        control=pool.control_labels(),
        held_out=len(pool.labels(question, holdout=True)),
        unreadable=pool.survey().unused,
    )


def _on_costs(settings: Settings, plan: Plan, read: ReadProject) -> Iterator[str]:
    """What is measured, or why it cannot be. Of a project with a version that is on the cards of its versions."""
    registry = Registry(settings.model_dir)
    if version := registry.current(plan.project.id):
        card = registry.card(plan.project.id, version)
        yield words.on_version(version, fitting.why_another(card, read.config))
        return
    try:
        speed, unknown = _speed(settings, read), ""
    except NextlabelError as error:
        speed, unknown = None, str(error)
    fits = fits_of(settings, read, speed)
    if speed is None:
        yield words.on_unknown(fits, unknown)
        return
    yield words.on_order(order_of(read, speed, fits))
    yield words.on_fit(fits)
    elsewhere = "" if is_here(plan.url) else without_password(plan.url)
    yield words.on_speed(
        settings.base_model,
        f"{speed.device} in {speed.precision}",
        speed.step_s,
        speed.texts_per_s,
        elsewhere,
        beside=BESIDE if speed.device == "cpu" else 1.0,
        cluster=bool(settings.ray_address),
    )
    yield from words.on_room(_room(settings, read, speed), str(settings.model_dir))


def _speed(settings: Settings, read: ReadProject) -> Speed:
    """What the trial tells. Raises `NoModelError` where there is nothing to try, or nothing to try it on."""
    some = _some(read)
    if not some:
        raise NoModelError("the project has no text yet to try it out on.")
    if needs_download(settings.base_model):
        raise NoModelError(
            f"BASE_MODEL={settings.base_model} is not on this machine. A trainer that starts fetches it: ask again "
            "then."
        )
    recipe = fitting.recipe_of(settings, settings.seed, read.own, len(read.learnt.to_fit))
    targets_N = np.arange(len(some)) % len(read.config.labels)  # a step takes as long whatever it learns
    common = Words().of(read.pool, 0)  # which a trainer keeps in memory, too
    speed = measure(recipe, read.config.labels, some, targets_N, read.pool.sample(SCORED))
    del common
    return speed


def _some(read: ReadProject) -> Sequence[Example]:
    """Texts like those that are fitted on."""
    labelled = [example for example, _ in read.learnt.to_fit]
    if len(labelled) < FITTED:
        return read.pool.sample(FITTED)
    return [labelled[i] for i in np.random.default_rng(0).choice(len(labelled), FITTED, replace=False)]


def fits_of(settings: Settings, read: ReadProject, speed: Speed | None) -> Fits:
    """What the first fits are on, and how long they take; without a speed only what they wait for."""
    learnt, own = read.learnt, read.own
    due_with, nowhere = fitting.next_step(own, 0), missing_everywhere(read.pool.survey())
    waits_for = read.config.question.missing_labels([label for _, label in learnt.to_fit])
    if nowhere:
        waits_for = f"It waits for the texts: {nowhere}."
    elif not waits_for and len(learnt.known) < due_with:
        few = f" or, from {fitting.FEW} on, after {words.about(own.fit_max_wait_s)} with fewer"
        waits_for = f"It comes with {due_with} labels{few if due_with > fitting.FEW else ''}."
    labels = max(len(learnt.to_fit), due_with if waits_for else 0)
    if speed is None:
        return Fits(labels, waits_for=waits_for)
    recipe = fitting.recipe_of(settings, settings.seed, own, labels)
    quick = own.fit_steps == "auto" and quick_version.comes_first(labels)
    # Its labels are read for the heads, and next to a quick version to compare the two.
    passes = (own.head == "on") + quick
    seconds = _fit_s(speed, recipe.steps) + passes * labels / speed.texts_per_s
    if not quick:
        return Fits(labels, recipe.steps, seconds, waits_for=waits_for)
    short = fitting.recipe_of(settings, settings.seed, own, quick_version.LABELS)
    return Fits(labels, recipe.steps, seconds, quick_version.LABELS, _fit_s(speed, short.steps), waits_for)


def _fit_s(speed: Speed, steps: int) -> float:
    return speed.load_s + steps * speed.step_s * (BESIDE if speed.device == "cpu" else 1)


def order_of(read: ReadProject, speed: Speed, fits: Fits) -> FirstOrder | None:
    """The first order: that of the first version, where its fit is due; else the start order, if there is to be one."""
    parts, pool = {"to read the tasks": read.seconds}, read.pool
    if fits.waits_for:
        if read.own.start_order == "off":
            return None
        compared = min(pool.open_size(), starting.FIRST)
        return FirstOrder(
            "the start order",
            {**parts, f"to compare {compared:,} texts": speed.load_s + compared / speed.texts_per_s},
        )
    scored = min(pool.scored_size(), fitting.LEAST if fits.quick else fitting.FIRST)
    parts["for the fit"] = fits.quick_s or fits.seconds
    parts[f"to score {scored:,} texts"] = scored / speed.texts_per_s
    if read.own.near_copies == HOLD and len(read.config.fields) == 1:
        unknown = min(MOST_LABELLED, fits.labels - fits.quick) if fits.quick else 0
        parts["to look for near-copies"] = speed.load_s + (unknown + AHEAD) / speed.texts_per_s
    return FirstOrder("that of the quick version" if fits.quick else "that of the first version", parts)


def _room(settings: Settings, read: ReadProject, speed: Speed) -> Room:
    tasks, vector = read.pool.size(), speed.width * HALF
    # Features of the active version and of the next one, embeddings of what is compared.
    vectors = vector * (2 * tasks * (read.own.head == "on") + min(tasks, ORDERED_AT_MOST))
    home = settings.model_dir.absolute()
    there = next(path for path in (home, *home.parents) if path.is_dir())
    return Room(
        # Two versions stay in memory, their weights as they are and once more in the order of the products.
        memory=speed.memory + 2 * 2 * speed.weights,
        on_gpu=speed.on_gpu,
        machine=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        versions=settings.keep_versions + 1,
        version=speed.weights,
        texts=read.disk + vectors + int(tasks * speed.pieces),
        free=shutil.disk_usage(there).free,
    )


def is_here(url: str) -> bool:
    """Whether an address is one of this machine's: then a socket can be bound to it."""
    try:
        for family, _, _, _, address in socket.getaddrinfo(urlsplit(url).hostname, 0, type=socket.SOCK_STREAM):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind(address)
                return True
    except OSError:
        pass
    return False
