"""How a run with label counts was made, for its report: what was chosen, how long it took, by what commands."""

from collections.abc import Iterator, Mapping, Sequence

from nextlabel.simulation import baselines
from nextlabel.simulation.asked import rules
from nextlabel.simulation.blocks import Block, Code, Heading, Items, Table
from nextlabel.simulation.comparisons import Arm
from nextlabel.simulation.count_study import (
    CountStudy,
    at_most,
    begun_anew,
    control_labels,
    machines_by_seed,
    steps_of_fit,
    steps_of_fits,
)
from nextlabel.simulation.head_order import EVERY, is_head
from nextlabel.simulation.provenance import balance, commands, listing, starts
from nextlabel.simulation.records import BATCHED, LIVE, Record
from nextlabel.simulation.replay import SERVED_BEFORE

MOST_CLASSES = 3  # whose balance is told in a line; of more the table of classes tells it


def chosen_by_label(study: CountStudy, strategy: str, seeds: Sequence[int]) -> dict[str, float]:
    """How many of each label an arm chose up to the last count that is compared: mean of the seeds."""
    total: dict[str, int] = {}
    for record in _choosing(study, strategy, seeds):
        for label, count in (record.mix or {}).items():
            total[label] = total.get(label, 0) + count
    return {label: count / len(seeds) for label, count in total.items()}


def _choosing(study: CountStudy, strategy: str, seeds: Sequence[int]) -> list[Record]:
    """The rounds whose choice was labelled by the last count that is compared."""
    return [r for seed in seeds for r in study.by_arm[strategy][seed] if r.labels < study.last]


def chosen_section(study: CountStudy) -> Iterator[Block]:
    """Class mix and near-copies of what each arm chose."""
    yield Heading("What was chosen")
    one, many = ("label", "labels") if study.layout else ("class", "classes")
    head = ["arm", "chosen", "near-copies", f"{many} met", f"largest {one}", f"smallest {one} of the pool"]
    yield Table(
        f"Up to {study.last:,} labels, without the {study.comparison.counts[0]:,} of the start, which all arms"
        f"{_but_live(study)} share; means over seeds. A near-copy's embedding by the base model has a cosine of 0.95 "
        f"or more with one labelled before{_but_control(study)}.",
        head,
        [_chosen_row(study, arm) for arm in study.comparison.arms],
    )


def _chosen_row(study: CountStudy, arm: Arm) -> list[str]:
    records, seeds = _choosing(study, arm.strategy, arm.seeds), len(arm.seeds)
    chosen = sum(len(record.chosen) for record in records) or 1
    known = [record.near_copies for record in records if record.near_copies is not None]
    control = [control_labels(_at_last(study, arm.strategy, seed)) for seed in arm.seeds]
    by_label = chosen_by_label(study, arm.strategy, arm.seeds)
    met = [sum(n > 0 for n in chosen_by_label(study, arm.strategy, [seed]).values()) for seed in arm.seeds]
    pool = (study.run.setting["data"].get("counts") or {}).get("train") or {}
    extremes = [pick(pool, key=lambda label: pool[label]) for pick in (max, min)] if pool else []
    return [
        arm.strategy,
        f"{chosen / seeds:.0f}",
        f"{sum(known) / seeds:.1f}{_share_of_ordered(sum(known), chosen, control)}" if known else "not recorded",
        f"{sum(met) / seeds:.1f} of {len(study.comparison.labels)}",
        *(_share_chosen(label, by_label, pool, chosen / seeds, study.texts(pool)) for label in extremes),
    ]


def _at_last(study: CountStudy, strategy: str, seed: int) -> Record:
    return next(record for record in study.by_arm[strategy][seed] if record.labels == study.last)


def _share_of_ordered(copies: int, chosen: int, control: Sequence[int | None]) -> str:
    """In percent of those that the arm's order chose: control tasks are drawn, and not looked at for near-copies."""
    if None in control:
        return ""
    return f" ({100 * copies / (chosen - sum(of or 0 for of in control)):.1f} %)"


def _but_control(study: CountStudy) -> str:
    asked = any(record.control for record in study.run.rounds)
    return "; shares are of what the order chose, control tasks left out" if asked else ""


def _share_chosen(
    label: str, chosen: Mapping[str, float], pool: Mapping[str, int], all_chosen: float, texts: int
) -> str:
    there = 100 * pool[label] / texts
    return f"{label} {100 * chosen.get(label, 0) / all_chosen:.1f} % (pool {there:.1f} %)"


def times_section(study: CountStudy) -> Iterator[Block]:
    """Seconds a round by stage and processor."""
    yield Heading("Times")
    stages = [s for s in dict.fromkeys(s for r in study.run.rounds for s in r.seconds) if s != "shared"]
    head = ["arm", "machine", "rounds", *stages, "all stages", "of which shared", "hours spent"]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in study.run.rounds:
        groups.setdefault((record.strategy, record.machine or record.device), []).append(record)
    yield Table(
        "Mean seconds a round by stage, all rounds that were played. Shared seconds were spent for another arm of the "
        "seed, which begins with the same labels; they are not in the hours.",
        head,
        [_time_row(name, machine, of, stages) for (name, machine), of in sorted(groups.items())],
    )


def hours_spent(records: Sequence[Record]) -> float:
    """By all stages of these rounds, what was shared between arms once."""
    stages = sum(seconds for record in records for stage, seconds in record.seconds.items() if stage != "shared")
    return (stages - sum(record.seconds.get("shared", 0.0) for record in records)) / 3600


def _time_row(name: str, machine: str, records: Sequence[Record], stages: Sequence[str]) -> list[str]:
    by_stage = [sum(record.seconds.get(stage, 0.0) for record in records) for stage in stages]
    shared = sum(record.seconds.get("shared", 0.0) for record in records)
    means = [f"{seconds / len(records):.2f}" for seconds in (*by_stage, sum(by_stage), shared)]
    return [name, machine, str(len(records)), *means, f"{hours_spent(records):.2f}"]


def making_section(study: CountStudy, command: str) -> Iterator[Block]:
    """Protocol, fits, commands, starts and processors."""
    yield Heading("How it was made")
    yield Items(list(_rules(study)))
    yield from _fits(study)
    yield Code("\n".join([*commands(study.run), command]))
    yield starts(study.run)
    by_machines: dict[str, list[str]] = {}
    for seed, machines in machines_by_seed(study).items():
        by_machines.setdefault(" and ".join(machines), []).append(str(seed))
    rows = [[machines, ", ".join(seeds)] for machines, seeds in by_machines.items()]
    yield Table("Processors, and the seeds whose arms were played on them.", ["machine", "seeds"], rows)
    anew = [
        [str(arm["strategy"]), str(arm["seed"]), str(arm["rounds"]), str(arm["machine"])]
        for start in study.run.invocations
        for arm in begun_anew(start)
    ]
    if anew:
        head = ["arm", "seed", "rounds taken out", "made on"]
        why = "another processor had begun them, or what their versions said was lost"
        yield Table(f"Begun anew, because {why}.", head, anew)


def _rules(study: CountStudy) -> Iterator[str]:
    setting = study.run.setting
    data = setting["data"]
    sizes = f"{data['train']:,} to learn from, {data['dev']:,} dev, {data.get('test', 0):,} test"
    yield f"Data: {data['source']} ({sizes})."
    if study.layout:
        yield from rules(study.layout)
    elif data.get("counts") and len(study.comparison.labels) <= MOST_CLASSES:
        yield f"Class balance: {'; '.join(balance(part, of) for part, of in data['counts'].items() if of)}."
    yield (
        "Every label is known and hidden; a simulated oracle reveals it when it is asked for. The same seed gives "
        f"every arm{_but_live(study)} the same start set and the same randomness of training, so arms are compared "
        "seed by seed."
    )
    if not study.layout:
        yield "Macro-F1 is the mean F1 of the classes that have examples in the part that is scored, between 0 and 1."
    counts = listing([f"{count:,}" for count in setting["at"]])
    drawn = "drawn at random" if setting.get("start_by") == "random" else f"drawn by {setting.get('start_by')}"
    yield f"Versions are fitted from the base model and tested at {counts} labels; the first of these are {drawn}."
    live = {str(start["live"]) for start in study.run.invocations if start.get("live")}
    if live:
        yield f"live: as a new project is served: {listing(sorted(live))}."
    if any(arm.strategy == BATCHED for arm in study.comparison.arms):
        yield f"{BATCHED}: {SERVED_BEFORE}."
    if any(is_head(arm.strategy) for arm in study.comparison.arms):
        yield (
            f"head: after every {EVERY} labels the version's last layer is fitted again to all labels known, and "
            "orders what is left; it is the versions that are tested."
        )
    if any(baselines.kind_of(arm.strategy) for arm in study.comparison.arms):
        yield "tfidf and frozen: logistic regression on words, or on what the base model says before any fit."


def _but_live(study: CountStudy) -> str:
    """It has a start order of its own."""
    return f" but {LIVE}" if any(arm.strategy == LIVE for arm in study.comparison.arms) else ""


def _fits(study: CountStudy) -> Iterator[Table]:
    """How long models were fitted; nothing where the setting does not tell."""
    size, most = (study.run.setting.get("recipe") or {}).get("batch_size") or 0, at_most(study)
    head = ["labels", f"steps{most}", "examples a step", f"epochs{most}", "of its own labels known afterwards"]
    rows = []
    for count, n in steps_of_fits(study).items():
        records = [record for record in study.run.rounds if record.labels == count]
        judged = [record for record in records if control_labels(record)]
        others = [record for record in records if not control_labels(record)]
        if others or not judged:
            rows.append([f"{count:,}", f"{n:,}", str(size), f"{n * size / count:.1f}", _known(others)])
        if judged:
            rows.append(_fit_beside_control(study, count, size, judged))
    if rows:
        yield Table("Fits of the model; mean over all arms of the accuracy on the labels of the fit.", head, rows)


def _fit_beside_control(study: CountStudy, count: int, size: int, records: Sequence[Record]) -> list[str]:
    """The fits at a label count of arms that do not learn from all their labels."""
    learnt = round(sum(count - (control_labels(record) or 0) for record in records) / len(records))
    n = steps_of_fit(study, learnt) or 0
    names = listing(sorted({record.strategy for record in records}))
    cell = f"{learnt:,} of {count:,} ({names}, without control tasks)"
    return [cell, f"{n:,}", str(size), f"{n * size / learnt:.1f}", _known(records)]


def _known(records: Sequence[Record]) -> str:
    known = [record.train_accuracy for record in records if record.train_accuracy is not None]
    return f"{100 * sum(known) / len(known):.1f} %" if known else "not recorded"
