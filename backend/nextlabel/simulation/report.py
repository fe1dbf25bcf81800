"""The report of a simulation: figures, tables and what they support, written to files. Computes nothing itself."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextlabel.errors import BadRunError
from nextlabel.simulation import curves, figures
from nextlabel.simulation.asked import classes_of, label_table, layout_of, question_table, rules
from nextlabel.simulation.blocks import (
    Block,
    Code,
    Heading,
    Items,
    Paragraph,
    Picture,
    Table,
    renew_block,
    to_html,
    to_markdown,
)
from nextlabel.simulation.curves import Estimate, Outcome, Reaching
from nextlabel.simulation.provenance import balance, by_strategy, commands, differing_versions, listing, settled, starts
from nextlabel.simulation.records import RANDOM, Record
from nextlabel.simulation.study import (
    MINUTES_A_LABEL,
    Study,
    cannot_cross,
    from_to,
    headlines,
    interval,
    read_study,
    reproduced,
    reproduction_title,
    share,
    signed,
)
from nextlabel.values.arrays import Ints

FEWEST_EPOCHS = 3  # of the tutorial's baseline
TOO_FEW = f"fewer than {curves.SPAN} rounds"

MeanCurves = Mapping[str, tuple[Ints, Sequence[Estimate]]]  # by strategy: label counts, mean score at each


def write_report(directories: Sequence[Path], out: Path) -> Study:
    """Write figures, `summary.md`, `report.html` and `statistics.json` into `out` from runs of the same setting.

    Raises `BadRunError` when the runs cannot be read or compared.
    """
    study = read_study(directories)
    try:
        _write_files(study, directories, out)
    except OSError as error:
        raise BadRunError(f"Cannot write the report to {out}: {error.strerror}. Give another --out.") from None
    return study


def _write_files(study: Study, directories: Sequence[Path], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    means = {part: _mean_curves(study, part == "test") for part in (["dev", "test"] if study.tested else ["dev"])}
    pictures = list(_pictures(study, means, out))
    command = "nextlabel report " + " ".join(str(directory) for directory in directories)
    blocks = list(_blocks(study, means, pictures, command))
    _write(out / "summary.md", to_markdown(_title(study), blocks))
    _write(out / "report.html", to_html(_title(study), blocks))
    _write(out / "statistics.json", json.dumps(_statistics(study, means), indent=1, allow_nan=False) + "\n")


def update_readme(readme: Path, name: str, study: Study, out: Path, command: str) -> bool:
    """Replace what is between the markers `<!-- results:NAME -->` and `<!-- /results -->`; True when that changed it.

    Raises `BadRunError` when the file or the markers are not there.
    """
    block = _readme_block(study, out, readme.parent, command)
    return renew_block(readme, f"<!-- results:{name} -->", "<!-- /results -->", "the results", block)


def _readme_block(study: Study, out: Path, base: Path, command: str) -> str:
    here = Path(os.path.relpath(out, base)).as_posix()
    said = "\n\n".join(f"**{re.sub(r'([*_<>|`])', _escaped, line)}**" for line in headlines(study))
    made = "\n".join([*commands(study.run), command])
    return (
        f"{said}\n\n![{_alt_curves(study)}]({here}/learning-curves.svg)\n\n"
        f"[Protocol, tables and all numbers]({here}/summary.md). Made by:\n\n```sh\n{made}\n```"
    )


def _escaped(match: "re.Match[str]") -> str:
    return "\\" + match[1]


def _title(study: Study) -> str:
    source = study.run.setting["data"]["source"]
    if study.reproduction:
        return f"{reproduction_title(study)}: {source}"
    return f"Does active learning save labels? Data: {source}"


def _blocks(
    study: Study, means: Mapping[str, MeanCurves], pictures: Sequence[Picture], command: str
) -> Iterator[Block]:
    for line in headlines(study):
        yield Paragraph(line, strong=True)
    yield from map(Paragraph, _caveats(study))
    if study.reproduction:
        yield from _reproduction(study)
    yield from pictures[:1]
    yield from _protocol(study)
    if not study.reproduction:
        yield Heading("Results by arm")
        yield from _tables(study)
        yield from _of_questions(study)
        yield from pictures[1:]
    yield Heading("Mean curves")
    for part, curves_ in means.items():
        yield _curve_table(part, curves_, study)
    yield from _making(study, command)


def _caveats(study: Study) -> list[str]:
    """What is unfinished, unpaired, or weakens the comparison; empty when all is well."""
    return [*_gaps(study), *_weaknesses(study)]


def _gaps(study: Study) -> Iterator[str]:
    """What is not there."""
    shortest = "Areas, final scores and mean curves end where the shortest paired curve does."
    unfinished = list(_unfinished(study))
    if unfinished:
        yield (
            f"Unfinished: {'; '.join(unfinished)}. {shortest} Give the command of the simulation again to finish it."
        )
    failed = [f"{name}, seed {seed} ({why})" for (seed, name), why in sorted(study.run.failures.items())]
    if failed:
        yield (
            f"Failed: {'; '.join(failed)}. These arms end where their fit diverged, so what is compared depends on "
            f"which fits went well. {shortest}"
        )
    unplayed = by_strategy(set(study.run.planned) - {r.arm for r in study.run.rounds} - set(study.run.failures))
    if unplayed:
        yield f"Planned, not played: {unplayed}."
    short = {
        (seed, name)
        for name, by_seed in study.arms.items()
        for seed, curve in by_seed.items()
        if len(curve.labels_R) < curves.SPAN
    }
    if short and not study.reproduction:
        yield (
            f"Fewer than {curves.SPAN} rounds, so that a sustained crossing cannot happen: {by_strategy(short)}. "
            "They count as arms that have not reached the target."
        )
    seeds = {seed for by_seed in study.arms.values() for seed in by_seed} | set(study.full)
    for outcome in study.outcomes:
        alone = sorted(seeds - set(outcome.seeds))
        if alone:
            yield (
                f"Left out of {outcome.strategy} and of its target, because not paired: seeds "
                f"{', '.join(map(str, alone))}."
            )
    lone = [name for name in study.arms if all(outcome.strategy != name for outcome in study.outcomes)]
    if lone:
        yield f"Left out, because none of its seeds is paired: {', '.join(lone)}."


def _weaknesses(study: Study) -> Iterator[str]:
    """What makes a comparison say less than it seems to."""
    if RANDOM not in study.arms and not study.reproduction:
        yield "There is no random arm: whether a strategy does better than chance cannot be told from this run."
    stop_at = study.run.setting.get("stop_at")
    if stop_at is not None and not study.reproduction:
        yield f"Arms were stopped at a single look of {stop_at}: no comparison of sustained crossings is possible."
    for words, count in (study.run.setting["data"].get("shared") or {}).items():
        if count:
            yield f"{'A leak' if words.endswith('in train') else 'Repeated'}: {count} {words}."
    epochs = _full_epochs(study)
    # Steps are whole, and the tutorial rounds them down: its own 343 are 2.99 epochs.
    if epochs is not None and round(epochs, 1) < FEWEST_EPOCHS and study.full:
        yield (
            f"The baseline saw each example only {epochs:.1f} times on average; an undertrained baseline lowers the "
            "target and makes savings against full data look larger."
        )
    devices = sorted({record.device for record in study.run.rounds})
    if len(devices) > 1:
        yield (
            f"Rounds come from several devices ({'; '.join(devices)}); pairs made on different ones share their start "
            "set, but not exactly their training."
        )
    differing = list(differing_versions(study.run.rounds))
    if differing:
        yield (
            f"Rounds were made with different versions of packages ({'; '.join(differing)}); the same seed need not "
            "give the same training under both."
        )


def _unfinished(study: Study) -> Iterator[str]:
    last: dict[tuple[int, str], Record] = {r.arm: r for r in study.run.rounds}
    most = max(len(curve.labels_R) for by_seed in study.arms.values() for curve in by_seed.values())
    for name, by_seed in study.arms.items():
        for seed, curve in sorted(by_seed.items()):
            arm, played = (seed, name), len(curve.labels_R)
            if not last[arm].chosen or arm in study.run.failures:
                continue
            planned = study.run.planned.get(arm, 0)
            wanted = most if planned is None else max(most, planned + 1)
            if played < wanted:
                yield f"{name}, seed {seed} ({played} of {wanted} rounds)"
            elif planned is None:
                yield f"{name}, seed {seed} ({played} rounds, planned until no label is left)"


def _reproduction(study: Study) -> Iterator[Block]:
    yield Paragraph(
        "The tutorial's experiment is one run that stops at the first of many noisy looks at the dev score, and has no "
        "random arm: by such a rule random labels, too, seem to save. "
        + (
            "What is played here differs from it in what is listed below, and says nothing about active learning."
            if study.deviations
            else "It is repeated here as it is; it shows that the program does what the tutorial did, and nothing "
            "about active learning."
        )
    )
    if study.deviations:
        yield Items([f"Deviation: {deviation}" for deviation in study.deviations])
    elif "deviations" in study.run.setting:
        yield Paragraph("Model, schedule, start size, batch and stopping rule are the same as the tutorial's.")
    yield Paragraph(
        "It is not the same bit for bit: other random generators, batches grouped by length, bf16 where it is fast."
    )
    rows = [
        [
            f"{row.strategy}, seed {row.seed}",
            f"{row.goal:.4f}",
            "not reached" if row.labels is None else str(row.labels),
            "none" if row.labels is None else f"{100 * (1 - row.labels / study.train):.1f} %",
            "none" if row.labels is None else f"{row.hours:.1f}",
        ]
        for row in reproduced(study)
    ]
    head = ["arm", "target (dev)", "labels used", "share saved", f"hours saved, {MINUTES_A_LABEL} min a label"]
    yield Table(f"First look at or above the target; all the training data is {study.train} labels.", head, rows)
    baseline = study.baseline()
    if baseline:
        yield Paragraph(f"The model fitted on all labels scores {baseline.mean:.4f} on dev.")


def _protocol(study: Study) -> Iterator[Block]:
    data = study.run.setting["data"]
    yield Heading("Question and protocol")
    if study.reproduction:
        yield Paragraph("With how many labels does the dev score first reach the target?")
        yield Items(list(_reproduction_rules(study, data)))
        return
    yield Paragraph(
        "How many labels does a query strategy need for the score that all labels give, and how many does random "
        "sampling need for it?"
    )
    yield Items(list(_rules(study, data)))


def _reproduction_rules(study: Study, data: Mapping[str, Any]) -> Iterator[str]:
    yield from _data_rules(study, data)
    yield "Every label is known and hidden; a simulated oracle reveals it when it is asked for."
    yield from _fitting_rules(study)
    stop_at = study.run.setting.get("stop_at")
    goal = "the mean dev score of models fitted on all labels" if stop_at is None else "given in the setting"
    yield f"Target: {reproduced(study)[0].goal:.4f} on dev, {goal}."
    yield "First look: an arm has reached the target in the first round whose dev score is at least the target."


def _data_rules(study: Study, data: Mapping[str, Any]) -> Iterator[str]:
    parts = f"{data['train']} to learn from, {data['dev']} dev, {data.get('test', 0)} test"
    yield f"Data: {data['source']} ({parts}; labels: {', '.join(map(str, data['labels']))}). {_score_words(study)}"
    layout = layout_of(study.run)
    if layout:
        yield from rules(layout)
    elif data.get("counts"):
        yield f"Class balance: {'; '.join(balance(part, of) for part, of in data['counts'].items() if of)}."


def _fitting_rules(study: Study) -> Iterator[str]:
    """Start set, batch, and how long models are fitted. Settings of old runs may lack any of it."""
    setting, recipe = study.run.setting, study.run.setting.get("recipe") or {}
    start, start_by = setting.get("start"), setting.get("start_by")
    if start is not None:
        started = f"{100 * start:g} % of the training data, {study.fewest} labels" if start < 1 else f"{start:g} labels"
        yield f"Start set: {started}{_drawn(start_by) if start_by else ''}."
    if setting.get("batch") is not None:
        yield f"Labels a round: {setting['batch']}."
    steps, size = recipe.get("steps"), recipe.get("batch_size")
    if steps is not None and size is not None:
        more = [
            f"{before}{recipe[key] * 100 if key == 'warmup' else recipe[key]:{form}}{behind}"
            for key, before, form, behind in (
                ("learning_rate", "learning rate ", "g", ""),
                ("warmup", "warm-up ", "g", " % of the steps"),
                ("precision", "precision ", "", ""),
            )
            if recipe.get(key) is not None
        ]
        if isinstance(steps, str):  # a rule, by the number of labels
            yield f"Fit of a round: {', '.join([f'{steps}, {size} examples a step', *more])}."
        else:
            least = setting.get("epochs") or 0.0
            taken = [(max(steps, math.ceil(least * n / size)), n) for n in (study.fewest, study.most)]
            first, last = (_epochs(of_fit * size / labels) for of_fit, labels in taken)
            fit = f"{steps} steps of {size} examples" + (f" or {least:g} epochs, if that is more" if least else "")
            yield (
                f"Fit of a round: {', '.join([fit, *more])}; that is {first} in the "
                f"first round ({study.fewest} labels) and {last} in the last ({study.most} labels)."
            )
    epochs = _full_epochs(study)
    if epochs is not None and study.full:
        yield f"Fit of the full-data baseline: {setting['full_steps']} steps of {size} examples, {_epochs(epochs)}."


def _drawn(start_by: str) -> str:
    return ", drawn at random" if start_by == "random" else f", drawn by {start_by}"


def _full_epochs(study: Study) -> float | None:
    """How often the baseline saw each example, on average; None where the setting does not tell."""
    steps, size = study.run.setting.get("full_steps"), (study.run.setting.get("recipe") or {}).get("batch_size")
    return None if steps is None or size is None else float(steps * size / study.train)


def _epochs(epochs: float) -> str:
    return f"{epochs:.1f} epochs" if epochs >= 1 else f"{epochs:.2f} epochs"


def _rules(study: Study, data: Mapping[str, Any]) -> Iterator[str]:
    yield from _data_rules(study, data)
    yield (
        "Every label is known and hidden; a simulated oracle reveals it when it is asked for. The same seed gives "
        "every arm the same start set and the same randomness of training, so arms are compared seed by seed."
    )
    yield from _fitting_rules(study)
    baseline, tested = study.baseline(), study.baseline(test=True)
    if baseline:
        score = f"{baseline.mean:.4f} {interval(baseline)}".strip()
        test = f"; on test {tested.mean:.4f} {interval(tested)}".rstrip() if tested else ""
        yield f"Target: the mean dev score of models fitted on all {study.train} labels: {score}{test}."
        if not study.same_target:
            own = ", ".join(f"{o.strategy} {o.to_full.target:.4f}" for o in study.outcomes if o.to_full)
            yield (
                f"Not all arms have the same paired seeds: this mean is over all {len(study.full)} seeds of the "
                f"baseline, the target of each arm over its paired seeds only: {own}."
            )
    yield (
        "Sustained crossing: an arm has reached the target in the first round whose mean dev score over it and the two "
        "rounds before is at least the target. A single round would do by the tutorial's rule (first look); with many "
        "noisy looks that is often luck, also for random labels."
    )
    yield (
        f"Saved against full data: 1 - labels / {study.train}, by seed; a seed that never reaches the target counts as "
        "no saving. Saved against random: 1 - labels / random's labels, same seed, rule and target; both are cut at "
        "the last label count that the two have in common, and who has not reached the target there counts with that. "
        "A seed can save at most 100 % against random and lose without bound, so that the mean is "
        "conservative. If no seed of an arm reaches the target, no saving is claimed."
    )
    yield "Selected on dev, reported on test: the crossing is found on dev alone; its model is then scored on test."
    yield (
        "Second target: the mean of random's final dev score (mean of its last 3 common rounds); it serves runs that "
        "start small and never see the full-data score."
    )
    yield (
        "Area: the mean height of the curve over the label range that all curves have. Win rate: share of seeds whose "
        "area is larger than random's; ties count half."
    )
    yield (
        "Intervals: 95 % percentile bootstrap over seeds, 10,000 resamples; a resampled seed takes all its arms and "
        "its baseline along, and target and crossings are found anew in each. With the S paired seeds in ascending "
        "order the resamples are the rows of numpy.random.default_rng(0).integers(0, S, size=(10000, S)). Intervals "
        "are for each arm alone, not widened for the number of arms, and speak of seeds on this dev and test set, not "
        f"of other data. Fewer than {curves.FEWEST_SEEDS} paired seeds have none, and fewer than "
        f"{curves.SEEDS_FOR_A_CLAIM} support no claim."
    )
    yield (
        "Such intervals are somewhat too narrow with few seeds: for normal differences around 0 they exclude 0 in "
        "9.6 % of runs with 10 seeds and in 7.2 % with 20, not in 5 %."
    )
    for group in study.alike:
        yield (
            f"With two classes {listing(group)} rank every pool alike, but for rounding; the figures show "
            f"{group[0]} only."
        )
    if classes_of(study.run) == 2 and not study.alike:
        yield "With two classes entropy, margin and least confidence rank every pool alike: one stands for all."


def _score_words(study: Study) -> str:
    labels = study.run.setting["data"]["labels"]
    if layout_of(study.run):
        return "The score is the mean of accuracy and F1 over the questions, between 0 and 1."
    f1 = f"F1 of {labels[0]!r}" if len(labels) == 2 else "macro F1"
    return f"The score is the mean of accuracy and {f1}, between 0 and 1."


def _tables(study: Study) -> Iterator[Block]:
    low, high = curves.common_range([c for o in study.outcomes for c in study.paired(o.strategy)])
    yield Table(
        f"Curves, {low} to {high} labels: mean over paired seeds"
        + (", 95 % interval of the difference to random." if _has_intervals(study) else "."),
        ["arm", "paired seeds", "rounds", "last labels", "final dev", "final test", "area (dev)", "area - random",
         "final dev - random", "final test - random", "win rate"],
        [_curve_row(outcome) for outcome in study.outcomes],
    )  # fmt: skip
    if study.full:
        head = [
            "arm",
            "reached",
            "labels needed, by seed",
            "saved vs full",
            "saved vs random",
            "test at crossing",
            "test - full",
        ]
        for rule, name in (("sustained crossing", "to_full"), ("the tutorial's first look", "first_look")):
            rows = [_reaching_row(o, getattr(o, name)) for o in study.outcomes]
            yield Table(
                f"To the mean full-data score, {rule}: labels needed are median (smallest to largest).", head, rows
            )
        yield Paragraph(_first_look_remark(study))
    second = [(o, o.to_random_end) for o in study.outcomes if o.to_random_end]
    if second:
        goals = {f"{reaching.target:.4f}" for _, reaching in second}
        one = len(goals) == 1
        rows = [
            [
                *_reaching_row(outcome, reaching)[:3],
                *([] if one else [f"{reaching.target:.4f}"]),
                _saved(reaching.saved_random, outcome),
            ]
            for outcome, reaching in second
        ]
        goal = min(goals) if one else "by arm, over its paired seeds"
        caption = f"To random's mean final dev score ({goal}), sustained crossing."
        head = ["arm", "reached", "labels needed, by seed", *([] if one else ["target"]), "saved vs random"]
        yield Table(caption, head, rows)


def _of_questions(study: Study) -> Iterator[Block]:
    """What a form's questions are measured by; nothing of one question with one class a text."""
    layout, (_, high) = (
        layout_of(study.run),
        curves.common_range([c for o in study.outcomes for c in study.paired(o.strategy)]),
    )
    if layout is None:
        return
    last = {o.strategy: [_at(study, o.strategy, seed, high) for seed in o.seeds] for o in study.outcomes}
    for part in ["dev", "test"] if study.tested else ["dev"]:
        yield question_table(layout, part, last, f"{high:,}")
        yield label_table(layout, part, last, f"{high:,}")


def _at(study: Study, strategy: str, seed: int, labels: int) -> Record:
    """The last round with at most so many labels."""
    return [r for r in study.run.rounds if r.arm == (seed, strategy) and r.labels <= labels][-1]


def _curve_row(outcome: Outcome) -> list[str]:
    more = outcome.against_random
    return [
        outcome.strategy,
        str(len(outcome.seeds)),
        from_to(outcome.rounds),
        from_to(outcome.last_labels),
        f"{outcome.final_dev:.4f}",
        "none" if outcome.final_test is None else f"{outcome.final_test:.4f}",
        f"{outcome.area:.4f}",
        "" if more is None else signed(more.area),
        "" if more is None else signed(more.final_dev),
        "" if more is None or more.final_test is None else signed(more.final_test),
        "" if more is None else f"{100 * more.wins:.0f} %",
    ]


def _reaching_row(outcome: Outcome, reaching: Reaching) -> list[str]:
    rival = bool(reaching.labels_random)
    hopeless = reaching.span == curves.SPAN and cannot_cross(outcome)
    judged = outcome if hopeless else None
    return [
        outcome.strategy,
        f"{reaching.reached} of {len(reaching.labels)} seeds",
        TOO_FEW if hopeless else _needed(reaching.labels),
        _saved(reaching.saved_full, judged),
        _saved(reaching.saved_random, judged) if rival else "",
        "none" if reaching.test is None else f"{reaching.test:.4f}",
        "none" if reaching.test_difference is None else signed(reaching.test_difference),
    ]


def _first_look_remark(study: Study) -> str:
    random = next((o.first_look for o in study.outcomes if o.strategy == RANDOM), None)
    if random is None or random.saved_full is None:
        return "The first look is shown for comparison only."
    return (
        f"Random sampling itself seems to save {share(random.saved_full)} of all labels by the first look: that much "
        "of a first-look saving is the rule, not the strategy."
    )


def _needed(labels: Sequence[int | None]) -> str:
    known = sorted(count for count in labels if count is not None)
    if not known:
        return "not reached"
    counts = sorted(float("inf") if count is None else count for count in labels)
    middle = (counts[(len(counts) - 1) // 2] + counts[len(counts) // 2]) / 2
    median = f"{middle:.0f}" if middle < float("inf") else "not reached"
    return f"{median} ({known[0]} to {known[-1]}{'' if len(known) == len(counts) else ', others not reached'})"


def _saved(saved: Estimate | None, outcome: Outcome | None = None) -> str:
    if saved is None:
        return TOO_FEW if outcome and cannot_cross(outcome) else "not reached"
    return f"{100 * saved.mean:.1f} % {interval(saved, 100, 1)}".rstrip()


def _curve_table(part: str, means: MeanCurves, study: Study) -> Table:
    counts = sorted({int(count) for labels_R, _ in means.values() for count in labels_R})
    cells = {name: dict(zip(labels_R.tolist(), of, strict=True)) for name, (labels_R, of) in means.items()}
    rows = [[str(count), *(_with_interval(cells[name].get(count)) for name in means)] for count in counts]
    examples = study.run.setting["data"].get(part, 0)
    bracket = " [95 % interval]" if _has_intervals(study) else ""
    return Table(f"Mean {part} score ({examples} examples){bracket}.", ["labels", *means], rows)


def _making(study: Study, command: str) -> Iterator[Block]:
    yield Heading("How it was made")
    yield Code("\n".join([*commands(study.run), command]))
    yield starts(study.run)
    yield _seconds(study)
    yield from settled(study.run)


def _seconds(study: Study) -> Table:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in study.run.rounds:
        groups.setdefault((record.strategy, record.device), []).append(record)
    stages = list(dict.fromkeys(stage for record in study.run.rounds for stage in record.seconds))
    rows = [
        [name, device, str(len(records)), *(_mean_seconds(records, stage) for stage in stages)]
        for (name, device), records in sorted(groups.items())
    ]
    return Table("Mean seconds a round, by stage.", ["arm", "device", "rounds", *stages], rows)


def _mean_seconds(records: Sequence[Record], stage: str) -> str:
    known = [record.seconds[stage] for record in records if stage in record.seconds]
    return f"{sum(known) / len(known):.2f}" if known else ""


def _pictures(study: Study, means: Mapping[str, MeanCurves], out: Path) -> Iterator[Picture]:
    svg = figures.save(
        figures.learning_curves([_part(study, part, of) for part, of in means.items()]), out, "learning-curves"
    )
    yield Picture("learning-curves", svg, _alt_curves(study), _caption_curves(study))
    if study.reproduction:
        return
    panels = dict(_saving_panels(study))
    if panels:
        svg = figures.save(figures.savings(panels), out, "savings")
        ends = " with its 95 % interval" if _has_intervals(study) else ""
        yield Picture("savings", svg, _alt_savings(panels), f"Labels saved: mean over paired seeds{ends}.")
    needed, areas = _spreads(study)
    if needed or areas:
        svg = figures.save(figures.seeds(needed, study.fewest, study.train, areas), out, "seeds")
        ends = " and 95 % interval" if _has_intervals(study) else ""
        caption = f"Every paired seed is a point. Coloured bars: medians. Black: mean{ends}."
        yield Picture("seeds", svg, f"One point for each paired seed of {listing(study.drawn)}.", caption)


def _mean_curves(study: Study, test: bool) -> MeanCurves:
    return {o.strategy: curves.mean_curve(study.paired(o.strategy), test) for o in study.outcomes}


def _part(study: Study, part: str, means: MeanCurves) -> figures.Part:
    examples = study.run.setting["data"].get(part, 0)
    stop_at = study.run.setting.get("stop_at")
    return figures.Part(
        title="Dev: decides where the target is reached" if part == "dev" else "Test: reported only",
        score=f"mean of accuracy and F1 on {part} ({examples} examples)",
        lines=[figures.Line(name, *means[name]) for name in study.drawn],
        full=study.baseline(test=part == "test"),
        goal=("target of the run", float(stop_at)) if stop_at is not None and part == "dev" else None,
    )


def _saving_panels(study: Study) -> Iterator[tuple[str, list[figures.Saving]]]:
    drawn = [outcome for outcome in study.outcomes if outcome.strategy in study.drawn]
    rivals = [outcome for outcome in drawn if outcome.against_random]
    if study.full:
        yield "Against full data", [_saving(o, o.to_full, o.first_look, "saved_full") for o in drawn]
        if rivals:
            yield (
                "Against random, to the full-data score",
                [_saving(o, o.to_full, o.first_look, "saved_random") for o in rivals],
            )
    if rivals and any(o.to_random_end for o in rivals):
        title = "Against random, to random's final score"
        yield title, [_saving(o, o.to_random_end, None, "saved_random") for o in rivals]


def _saving(outcome: Outcome, sustained: Reaching | None, look: Reaching | None, which: str) -> figures.Saving:
    name = outcome.strategy
    if sustained is None or cannot_cross(outcome):
        return figures.Saving(name, None, None, TOO_FEW)
    seeds, of = len(sustained.labels), getattr(sustained, which)
    count = f"{sustained.reached} of {seeds} seeds"
    remark = "" if sustained.reached == seeds else count if of else f"not reached ({count})"
    return figures.Saving(name, of, getattr(look, which) if look else None, remark)


def _spreads(study: Study) -> tuple[list[figures.Spread], list[figures.Spread]]:
    drawn = [outcome for outcome in study.outcomes if outcome.strategy in study.drawn]
    needed = [figures.Spread(o.strategy, o.to_full.labels) for o in drawn if o.to_full]
    rivals = [(o.strategy, o.against_random) for o in drawn if o.against_random]
    return needed, [figures.Spread(name, more.areas, more.area) for name, more in rivals]


def _alt_curves(study: Study) -> str:
    parts = "dev and test" if study.tested else "dev"
    return f"Mean {parts} score over labels used, for {listing(study.drawn)}{' and full data' if study.full else ''}"


def _caption_curves(study: Study) -> str:
    by_arm = ", ".join(f"{o.strategy} {len(o.seeds)}" for o in study.outcomes if o.strategy in study.drawn)
    band = ", bands are 95 % bootstrap intervals of the mean" if _has_intervals(study) else ""
    line = "" if study.same_target or not study.full else f" Full data: mean over all {len(study.full)} seeds."
    return f"Learning curves: means over paired seeds ({by_arm}){band}.{line}"


def _has_intervals(study: Study) -> bool:
    return any(len(outcome.seeds) >= curves.FEWEST_SEEDS for outcome in study.outcomes)


def _alt_savings(panels: Mapping[str, Sequence[figures.Saving]]) -> str:
    return "; ".join(
        f"{title}: "
        + ", ".join(f"{item.name} {TOO_FEW if item.remark == TOO_FEW else _saved(item.sustained)}" for item in items)
        for title, items in panels.items()
    )


def _statistics(study: Study, means: Mapping[str, MeanCurves]) -> dict[str, Any]:
    """All numbers unrounded, for machines."""
    baseline, tested = study.baseline(), study.baseline(test=True)
    return {
        "setting": study.run.setting,
        "sentences": headlines(study),
        "full": {
            "dev": asdict(baseline) if baseline else None,
            "test": asdict(tested) if tested else None,
            "by_seed": {str(seed): asdict(of) for seed, of in sorted(study.full.items())},
        },
        "outcomes": [{**asdict(outcome), "supports_claim": outcome.supports_claim} for outcome in study.outcomes],
        "reproduction": [asdict(row) for row in reproduced(study)] if study.reproduction else None,
        "alike": [list(group) for group in study.alike],
        "mean_curves": {
            part: {
                name: [{"labels": count, **asdict(e)} for count, e in zip(labels_R.tolist(), of, strict=True)]
                for name, (labels_R, of) in by_arm.items()
            }
            for part, by_arm in means.items()
        },
    }


def _with_interval(of: Estimate | None) -> str:
    return "" if of is None else f"{of.mean:.4f} {interval(of)}".rstrip()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
