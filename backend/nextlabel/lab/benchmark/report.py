"""What was measured, as Markdown for people."""

from collections.abc import Mapping
from pathlib import Path

from nextlabel.lab.benchmark.plan import DIFFERENCE, OURS, TUTORIAL, Result
from nextlabel.simulation.blocks import find_block, renew_block
from nextlabel.simulation.records import write_json
from nextlabel.values import markdown

RANDOM_NOTE = (
    "Its weights were random before the fit: this shows how fast a model of this shape is, not how good. Its entropies "
    "hardly differ, so that rounding disturbs their order more than a trained checkpoint's."
)


def write_result(result: Result, out: Path) -> None:
    """`out`, which ends in `.json`, and the same as Markdown beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, result)
    out.with_suffix(".md").write_text(f"# Benchmark\n\n{to_markdown(result)}\n", encoding="utf-8")


def to_markdown(result: Result) -> str:
    """Tables, what they mean, and the commands: of the speed, of the quality, or of both, as the result has them."""
    blocks: list[str] = []
    if "scoring" in result:
        random = [RANDOM_NOTE] if result["plan"]["random_weights"] else []
        pool = [_pool_line(result["pool"])] if "pool" in result else []
        whole = [_whole_line(result["fit"]["whole"])] if "whole" in result["fit"] else []
        tables = (_scoring_table(result), *pool, _predict_table(result), _fit_table(result), *whole)
        blocks += [_about_line(result), *random, *tables, _shell(result["command"])]
    if "quality" in result:
        quality = result["quality"]
        blocks += [_about_line(quality["setting"]), _quality_table(quality), _shell(quality["command"])]
    return "\n\n".join(blocks)


def _about_line(about: Result) -> str:
    return (
        f"{about['machine']}; {about['device']}. {about['base_model']}; {about['data']['source']}. "
        f"{', '.join(f'{name} {version}' for name, version in about['versions'].items())}."
    )


def _shell(command: str) -> str:
    return f"```sh\n{command}\n```"


def _scoring_table(result: Result) -> str:
    scoring = result["scoring"]
    rows = [
        (
            f"{way['words']}, {way['dtype']}",
            f"{way['per_second']['median']:.0f}",
            *_ratio(way["ratio_to_naive"]),
            f"{way['share_of_limit']['median']:.0%}",
        )
        for way in scoring["ways"].values()
    ]
    head = ("scoring", "texts a second", "times naive", "smallest to largest", "share of the limit")
    speeds = ", ".join(f"{of['median']:.0f} in {name}" for name, of in scoring["limit_gflops"].items())
    return (
        f"{markdown.table(head, rows)}\n\n"
        f"{scoring['examples']} texts that were not learnt from, {scoring['tokens_per_example']:.1f} word pieces and "
        f"{scoring['gflop_per_example']:.2f} GFLOP each. The limit is what matrix products of the model's shapes reach "
        f"on this machine, all of it on each product, in GFLOP/s: {speeds}. The share counts real tokens only. Order "
        f"by entropy, fast against exact: Spearman {scoring['spearman']:.5f} (of plain transformers under bf16 "
        f"autocast: {scoring['spearman_of_bf16_autocast']:.5f}); of the {scoring['top']} most uncertain, "
        f"{scoring['top_100_overlap']:.0%} are the same."
    )


def _pool_line(pool: Result) -> str:
    rate, ratio, share = (pool[name] for name in ("per_second", "ratio_to_naive", "share_of_limit"))
    return (
        f"A pool of {pool['texts']} texts ({pool['tokens_per_text']:.1f} word pieces each) that was tokenised before "
        f"(at {pool['tokenised_per_second']:.0f} a second): Nextlabel scores {rate['median']:.0f} a second "
        f"({rate['min']:.0f} to {rate['max']:.0f}), {ratio['median']:.0f} times as many as the pipeline one at a time "
        f"({ratio['min']:.0f} to {ratio['max']:.0f}; on {pool['naive_texts']} of them), {share['median']:.0%} of the "
        f"limit ({share['min']:.0%} to {share['max']:.0%})."
    )


def _whole_line(whole: Result) -> str:
    seconds, prepare = whole["seconds"], whole["prepare_seconds"]
    return (
        f"Nextlabel's fit of {whole['steps']} steps takes {seconds['median']:.2f} s ({seconds['min']:.2f} to "
        f"{seconds['max']:.2f}), after {prepare['median']:.2f} s to have model and data ready."
    )


def _predict_table(result: Result) -> str:
    predict = result["predict"]
    rows = [
        (
            way["words"],
            f"{way['p50_ms']['median']:.1f} ms",
            f"{way['p95_ms']['median']:.1f} ms",
            *_ratio(way["p50_ratio_to_naive"]),
        )
        for way in predict["ways"].values()
    ]
    return markdown.table(("one text", "p50", "p95", "p50 times naive (less is faster)", "smallest to largest"), rows)


def _fit_table(result: Result) -> str:
    fit = result["fit"]
    rows = [
        (
            f"{way['words']}, {way['dtype']}",
            f"{way['seconds_per_step']['median']:.3g} s",
            *_ratio(way["ratio_to_tutorial"]),
            f"{way['share_of_limit']['median']:.0%}",
            ", ".join(f"{mib:.0f} MiB" for mib in way.get("memory", {}).values()) or "not measured",
        )
        for way in fit["ways"].values()
    ]
    head = (
        f"fit, batches of {fit['batch_size']}",
        "a step",
        "times as fast",
        "smallest to largest",
        "share of the limit",
        "peak memory",
    )
    return f"{markdown.table(head, rows)}\n\n{fit['note']}"


def _quality_table(quality: Result) -> str:
    recipe, parts = quality["setting"]["recipe"], quality["combined"]
    named = {TUTORIAL: "the tutorial's way, fp32", OURS: f"Nextlabel, {recipe['precision']}", DIFFERENCE: "difference"}
    columns = [(f"{part}: {named[name]}", of) for part, ways in parts.items() for name, of in ways.items()]
    seeds = [
        (f"seed {of_seed['seed']}", *(_points(of["values"][i]) for _, of in columns))
        for i, of_seed in enumerate(quality["seeds"])
    ]
    mean, deviation = ((name, *(_points(of[name]) for _, of in columns)) for name in ("mean", "standard deviation"))
    return (
        f"{markdown.table(('combined score', *(head for head, _ in columns)), [*seeds, mean, deviation])}\n\n"
        f"{recipe['steps']} steps of {recipe['batch_size']}, {recipe['warmup']:.0%} of them warm-up to a learning rate "
        f"of {recipe['learning_rate']:g}, on {quality['setting']['data']['learnt_from']} examples. {quality['note']}"
    )


def _points(share: float | None) -> str:
    return "not known" if share is None else f"{100 * share:.2f}"


def _ratio(of: Mapping[str, float]) -> tuple[str, str]:
    return f"{of['median']:.2f}", f"{of['min']:.2f} to {of['max']:.2f}"


def markers(block: str = "") -> tuple[str, str]:
    """The lines that a benchmark stands between in a README, of which there may be several by name."""
    name = f"benchmark:{block}" if block else "benchmark"
    return f"<!-- {name} -->", f"<!-- /{name} -->"


def check_readme(readme: Path, block: str = "") -> None:
    """Raises `BadRunError` when the file cannot be read or has not both markers once, in their order."""
    find_block(readme, *markers(block), "the benchmark")


def update_readme(readme: Path, result: Result, block: str = "") -> bool:
    """Replace what is between the markers; True when that changed the file. Raises as `check_readme`."""
    return renew_block(readme, *markers(block), "the benchmark", to_markdown(result))
