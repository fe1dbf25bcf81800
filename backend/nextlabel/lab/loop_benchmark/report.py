"""The figures as a table for people."""

from collections.abc import Mapping
from typing import Any

from nextlabel.values import markdown

ROWS = {
    "p50_s": "label to the new order, median, s",
    "p95_s": "the same, p95, s",
    "new_orders": "new orders",
    "unknown_labels_p50": "labels that a served task's order did not know, median",
    "unknown_labels_p95": "the same, p95",
    "served_outside": "tasks served from no order",
    "served": "tasks served",
    "served_nothing": "times that nothing was served",
    "labels": "labels given",
    "requests_per_label": "requests to Label Studio a label",
    "trainer_cpu_s_per_label": "processor seconds of the trainer a label, fits included",
    "trainer_rss_mib": "memory of the trainer at the end, MiB",
    "web_rss_mib": "memory of the web process at the end, MiB",
}


COUNTED = {"p95_s": "new_orders", "unknown_labels_p95": "served"}  # how many values a percentile is of
ENOUGH = 20  # of which the 95th percentile is not the largest


def to_markdown(result: Mapping[str, Any]) -> str:
    """How it was measured, and a row for each figure."""
    ours, theirs = result["label_to_order"], result.get("previous")
    head = ["", "this build", *(["older build"] if theirs else [])]
    found = [ours, *([theirs] if theirs else [])]
    table = markdown.table(head, ([words, *(_cell(one, name) for one in found)] for name, words in ROWS.items()))
    people = "1 annotator" if result["annotators"] == 1 else f"{result['annotators']} annotators"
    about = (
        f"{result['machine']}; Label Studio {result['label_studio']}; {result['data']}. {result['base_model']}, "
        f"{result['fit_steps']} steps a fit. {people} at {result['pace_s']:g} s a label for {result['seconds']:g} s, "
        f"{result['turns']} turn{'s' * (result['turns'] > 1)}; {result['start']} labels at the start, "
        f"{result['pool']} tasks in the pool."
    )
    ratio = ours["ratio_to_previous"]
    return "\n\n".join(
        [about, table, *([] if ratio is None else [f"The older build takes {ratio:.1f} times as long."])]
    )


def _cell(figures: Mapping[str, Any], name: str) -> str:
    value, count = figures[name], figures.get(COUNTED.get(name, ""))
    if value is None:
        return "none"
    shown = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
    return f"{shown} (the largest of {count})" if count is not None and count < ENOUGH else shown
