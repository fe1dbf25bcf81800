"""What people read of why a task comes next."""

from collections.abc import Sequence

from nextlabel.problems.quality_words import percent

TORN = 0.5  # between the two most probable labels: with more a model is no more torn between them
CONTROL = "drawn at random to judge the model: no guess"
AUDIT = "drawn at random for the audit: no guess"
TYPICAL = "typical of texts that nothing is labelled of yet"
FAR = "unlike all texts before it"
DRAWN = "drawn at random"
NOT_SAID = "the model has said nothing of it yet"
SKIPPED = "somebody has skipped it"


def of_guess(labels: Sequence[str], probs: Sequence[float], question: str = "") -> str:
    """Why an informative task comes, by the probability of each label, of which there are two at least. `question`: the
    one of several that they are about."""
    (likely, label), (second, other) = sorted(zip(probs, labels, strict=True), reverse=True)[:2]
    about = f"of {question}, " if question else ""
    if likely - second <= TORN:
        return f"{about}the model is torn between {label} ({percent(likely)}) and {other} ({percent(second)})"
    return f"{about}the model says {label} ({percent(likely)}), and is as sure or surer of what comes after it"


def like_given(label: str) -> str:
    """Of a task that is near a text which somebody looks for; of no certain label where that is empty."""
    return f"like the text you gave for {label}" if label else "like a text that you gave"


def like_labelled(label: str) -> str:
    """Of one that is near the texts which have a wanted label."""
    return f"like texts that are labelled {label}, of which more labels are wanted"


def likely(label: str) -> str:
    """Of one that is likely to have a wanted label."""
    return f"among the likeliest to be {label}, of which more labels are wanted"
