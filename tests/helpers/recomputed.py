"""A second program that computes what a report says from a run's files alone, by the written rules. It shares no code
with the one that made the report: numpy, scipy and scikit-learn only."""

import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import f1_score

Numbers = Sequence[float]
Rows = list[list[int]]

RESAMPLES, MORE_RESAMPLES, FEWEST, CLAIM = 10_000, 200_000, 5, 10


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values)


def rows_of(seeds: int, generator: int = 0) -> Rows:
    """All seeds once, then the resamples; the first alone where there are too few seeds for an interval."""
    drawn = np.random.default_rng(generator).integers(0, seeds, size=(RESAMPLES, seeds)).tolist()
    return [list(range(seeds)), *(drawn if seeds >= FEWEST else [])]


def estimate(values: Numbers, generator: int = 0) -> dict[str, Any]:
    means = [mean(values[i] for i in row) for row in rows_of(len(values), generator)]
    low, high = np.percentile(means[1:], [2.5, 97.5]).tolist() if len(means) > 1 else (None, None)
    return {"mean": means[0], "low": low, "high": high, "seeds": len(values)}


def area(counts: Sequence[int], curve: Numbers) -> float:
    steps = range(1, len(counts))
    logs = [math.log2(count) for count in counts]
    return math.fsum((logs[k] - logs[k - 1]) * (curve[k] + curve[k - 1]) / 2 for k in steps) / (logs[-1] - logs[0])


def reached(counts: Sequence[int], curve: Numbers, target: float) -> tuple[int, int, float] | None:
    """The labels, the count at or after them, and how far between it and the one before they lie."""
    for k, score in enumerate(curve):
        if score >= target:
            if k == 0:
                return counts[0], 0, 1.0
            way = (target - curve[k - 1]) / (score - curve[k - 1])
            return round(counts[k - 1] * (counts[k] / counts[k - 1]) ** way), k, way
    return None


class Recomputed:
    """A directory that `nextlabel simulate --labels-at` wrote."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.setting = json.loads((directory / "setting.json").read_text(encoding="utf-8"))
        self.targets = json.loads((directory / "targets.json").read_text(encoding="utf-8"))
        lines = (directory / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
        self.rounds = {(r["strategy"], r["seed"], r["round"]): r for r in map(json.loads, lines)}
        self.counts = self.setting["at"]

    @cached_property
    def seeds(self) -> dict[str, list[int]]:
        """Of each arm those that it and random have to the last count, random last; of full data those there are."""
        ends = {name: 0 if name == "full" else len(self.counts) - 1 for name, _, _ in self.rounds}
        found = {name: sorted(s for one, s, k in self.rounds if (one, k) == (name, end)) for name, end in ends.items()}
        arms = [*sorted(found.keys() - {"full", "random"}, key=lambda name: (":" in name, name)), "random"]
        paired = {name: [s for s in found[name] if s in found["random"]] for name in arms}
        return {**paired, **({"full": found["full"]} if "full" in found else {})}

    # ---- what was said

    def said(self, name: str, seed: int, number: int, part: str) -> Iterator[tuple[Any, Any, Any]]:
        """Right classes, guessed classes and probabilities in 255ths, question by question."""
        with zipfile.ZipFile(self.directory / "probabilities" / f"seed-{seed}.zip") as archive:
            classes, levels = (
                np.load(io.BytesIO(archive.read(f"{name}/{number}/{part}-{what}.npy"))).astype(int)
                for what in ("classes", "probs")
            )
        if "questions" not in self.targets:
            yield np.array(self.targets[part]["classes"]), classes, levels
            return
        right, end = np.array(self.targets[part]["classes"], dtype=float), 0
        for cut in self.targets["questions"]["cuts"]:
            assert cut["kind"] != "any_of", "questions of any labels are not recomputed here"
            at = slice(end, end := end + len(cut["labels"]))
            asked = ~np.isnan(right[:, at]).any(axis=1)
            if asked.any():
                yield right[asked, at].argmax(axis=1), classes[asked, at].argmax(axis=1), levels[asked, at]

    def measured(self, name: str, seed: int, number: int, part: str) -> dict[str, Any]:
        of = [measures(*one) for one in self.said(name, seed, number, part)]
        means = {what: float(np.mean([one[what] for one in of])) for what in ("accuracy", "macro_f1", "ece", "brier")}
        return {**means, "f1": [f1 for one in of for f1 in one["f1"]]}

    def scores(self) -> Iterator[tuple[str, float, float]]:
        """Of every round what the records say and what the stored classes give."""
        for (name, seed, number), record in self.rounds.items():
            for part in ("dev", "test"):
                found = self.measured(name, seed, number, part)
                for what in ("accuracy", "macro_f1"):
                    yield f"{name} {seed} {number} {part} {what}", record[part][what], found[what]

    # ---- statistics.json

    def curves(self, name: str, seeds: Sequence[int], part: str) -> list[list[float]]:
        return [[self.rounds[name, s, k][part]["macro_f1"] for k in range(len(self.counts))] for s in seeds]

    def full_scores(self, part: str) -> list[float]:
        return [self.rounds["full", s, 0][part]["macro_f1"] for s in self.seeds.get("full", [])]

    def comparison(self) -> dict[str, Any]:
        full: dict[str, Any] | None = None
        if "full" in self.seeds:
            full = {part: estimate(self.full_scores(part), 1) for part in ("dev", "test")}
        return {
            "corpus": self.directory.name,
            "labels": self.setting["data"]["labels"],
            "train": self.setting["data"]["train"],
            "counts": self.counts,
            "full": full and {"seeds": self.seeds["full"], **full},
            "arms": [self.arm(name) for name in self.seeds if name != "full"],
        }

    def arm(self, name: str) -> dict[str, Any]:
        seeds, parts = self.seeds[name], ("dev", "test")
        ours = {part: self.curves(name, seeds, part) for part in parts}
        theirs = {part: self.curves("random", seeds, part) for part in parts}
        points = [{part: estimate([c[k] for c in ours[part]]) for part in parts} for k in range(len(self.counts))]
        areas = {part: [area(self.counts, c) for c in ours[part]] for part in parts}
        more = {
            part: [a - area(self.counts, c) for a, c in zip(areas[part], theirs[part], strict=True)] for part in parts
        }
        ends = {part: [a[-1] - b[-1] for a, b in zip(ours[part], theirs[part], strict=True)] for part in parts}
        return {
            "strategy": name,
            "seeds": seeds,
            "curve": [{"labels": n, **point} for n, point in zip(self.counts, points, strict=True)],
            "final": points[-1],
            "area": {part: estimate(areas[part]) for part in parts},
            "needs": list(self.needs(name, ours, theirs)),
            "against_random": None
            if name == "random"
            else {
                "final_test": difference(ends["test"]),
                "final_dev": estimate(ends["dev"]),
                "area": {part: estimate(more[part]) for part in parts},
            },
        }

    def needs(
        self, name: str, ours: dict[str, list[list[float]]], theirs: dict[str, list[list[float]]]
    ) -> Iterator[dict[str, Any]]:
        full, last = self.full_scores("dev"), self.counts[-1]
        rows = rows_of(len(ours["dev"]))
        curves = [[mean_curve(of["dev"], row) for row in rows] for of in (ours, theirs)]
        p = saving_p(*(np.array(of["dev"]) for of in (ours, theirs)))
        few = len(full) < FEWEST  # of which nothing is drawn
        full_rows = [range(len(full))] * len(rows) if few else rows_of(len(full), 1)[: len(rows)]
        wholes = [mean(full[i] for i in row) for row in full_rows] if full else []
        goals: dict[str, list[float]] = {
            **{
                way: [c[0] + int(way) / 100 * (f - c[0]) for c, f in zip(curves[1], wholes, strict=True)]
                for way in (("90", "95", "98") if full else ())
            },
            "random_final": [c[-1] for c in curves[1]],
        }
        for target, scores in goals.items():
            found = [[reached(self.counts, c, goal) for c, goal in zip(of, scores, strict=True)] for of in curves]
            labels = [[place and place[0] for place in of] for of in found]
            yield {
                "target": target,
                "score": scores[0],
                "last": last,
                "labels": labels[0][0],
                "labels_random": labels[1][0],
                "test": between(found[0][0], mean_curve(ours["test"], rows[0])),
                "saving": None
                if name == "random"
                else {**saving(labels[0], labels[1], last), "p": p if target == "random_final" else None},
            }

    def at_last_count(self) -> dict[str, Any]:
        found = {}
        random = {s: self.measured("random", s, len(self.counts) - 1, "test")["f1"] for s in self.seeds["random"]}
        for name, seeds in self.seeds.items():
            number = 0 if name == "full" else len(self.counts) - 1
            of = [self.measured(name, seed, number, "test") for seed in seeds]
            said = [one for seed in seeds for one in self.said(name, seed, number, "test")]
            paired = name not in ("random", "full")
            more = [[a - b for a, b in zip(one["f1"], random[s], strict=True)] for s, one in zip(seeds, of, strict=True)
                    if paired]  # fmt: skip
            versions = [np.stack([c for _, c, _ in self.said(name, s, number, "test")], axis=1) for s in seeds]
            found[name] = {
                "strategy": name,
                "seeds": seeds,
                **{what: estimate([one[what] for one in of]) for what in ("accuracy", "ece", "brier")},
                "f1_C": [mean(values) for values in zip(*(one["f1"] for one in of), strict=True)],
                "more_C": None if not paired else [mean(v) for v in zip(*more, strict=True)],
                "without": self.without_first(more) if paired and "questions" not in self.targets else None,
                "one_class": sum(len(np.unique(version, axis=0)) == 1 for version in versions),
                "bins": bins(said),
            }
        return found

    def without_first(self, more: Sequence[Numbers]) -> dict[str, Any] | None:
        """The difference to random without the class that adds most to it, of those that test has."""
        there = sorted(set(self.targets["test"]["classes"]))
        means = {c: mean(row[c] for row in more) for c in there}
        total = math.fsum(means.values())
        if len(there) < 3 or total == 0:
            return None
        first = max(there, key=lambda c: means[c] / total)
        rest = difference([mean(row[c] for c in there if c != first) for row in more])
        return {"label": first, "share": means[first] / total, **{what: rest[what] for what in ("mean", "low", "high")}}

    # ---- what was chosen

    def chosen(self, name: str) -> dict[str, Any]:
        """Means over seeds, after the start, up to the last count: of each class, of all, and of near-copies."""
        seeds = self.seeds[name]
        choices = [self.rounds[name, s, k] for s in seeds for k in range(len(self.counts) - 1)]
        by_class = {
            label: sum(r["mix"].get(label, 0) for r in choices) / len(seeds) for label in self.setting["data"]["labels"]
        }
        all_chosen = sum(len(r["chosen"]) for r in choices) / len(seeds)
        ends = [self.rounds[name, s, len(self.counts) - 1] for s in seeds]
        control = sum((r.get("control") or {"labels": 0})["labels"] for r in ends) / len(seeds)
        return {
            "by_class": by_class,
            "all": all_chosen,
            "ordered": all_chosen - control,
            "near_copies": sum(r["near_copies"] for r in choices) / len(seeds),
        }


def measures(right: Any, guessed: Any, levels: Any) -> dict[str, Any]:
    """Of one question, from whole 255ths."""
    classes = list(range(levels.shape[1]))
    f1 = f1_score(right, guessed, labels=classes, average=None, zero_division=0).tolist()
    sure = levels[np.arange(len(right)), guessed]
    gaps = [abs(int((255 * (guessed == right) - sure)[bin_of(sure) == b].sum())) for b in range(15)]
    squares = sum(int(((levels[:, c] - 255 * (right == c)) ** 2).sum()) for c in classes)
    return {
        "accuracy": int((guessed == right).sum()) / len(right),
        "macro_f1": float(np.mean([f1[c] for c in sorted(set(right.tolist()))])),
        "f1": f1,
        "ece": sum(gaps) / (255 * len(right)),
        "brier": squares / (255**2 * len(right)),
    }


def bin_of(levels: Any) -> Any:
    """15 of equal width, each with its upper and without its lower end: 0 to 17 of 255, 18 to 34, and so on."""
    return np.maximum((levels + 16) // 17 - 1, 0)


def bins(said: Sequence[tuple[Any, Any, Any]]) -> dict[str, list[float]]:
    sure = np.concatenate([levels[np.arange(len(right)), guessed] for right, guessed, levels in said])
    right = np.concatenate([guessed == right for right, guessed, _ in said])
    places = bin_of(sure)
    some = sorted(set(places.tolist()))
    return {
        "confidence_B": [int(sure[places == b].sum()) / (255 * int((places == b).sum())) for b in some],
        "right_B": [int(right[places == b].sum()) / int((places == b).sum()) for b in some],
        "counts_B": [int((places == b).sum()) for b in some],
    }


def mean_curve(curves: Sequence[Numbers], row: Sequence[int]) -> list[float]:
    return [mean(curves[i][k] for i in row) for k in range(len(curves[0]))]


def between(place: tuple[int, int, float] | None, curve: Numbers) -> float | None:
    if place is None:
        return None
    _, k, way = place
    return curve[k - 1] + way * (curve[k] - curve[k - 1]) if k else curve[0]


def saving(ours: Sequence[int | None], theirs: Sequence[int | None], last: int) -> dict[str, float | None]:
    lows, highs = [], []
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        lows.append(-math.inf if one is None else 1 - one / (last if other is None else other))
        highs.append(math.inf if other is None else 1 - (last if one is None else one) / other)
    ends = (sorted(lows)[249], sorted(highs)[-250]) if lows else (math.inf, math.inf)
    one, other = ours[0], theirs[0]
    share = None if one is None or other is None else 1 - one / other
    low, high = (None if math.isinf(end) else end for end in ends)
    return {"share": share, "low": low, "high": high}


def saving_p(ours: Any, theirs: Any) -> float | None:
    """From dev scores, seeds by counts."""
    seeds, counts = ours.shape
    if seeds < FEWEST:
        return None
    rows, no_sooner = np.random.default_rng(0).integers(0, seeds, size=(MORE_RESAMPLES, seeds)), 0
    for some in np.array_split(rows, 20):
        curves = [np.round(of[some].mean(axis=1), 12) for of in (ours, theirs)]
        target = curves[1][:, -1]
        one, other = (np.full(len(some), math.inf) for _ in curves)
        for places, curve in ((one, curves[0]), (other, curves[1])):
            for k in reversed(range(counts)):  # the first count that reaches it is written last
                is_there = curve[:, k] >= target
                low, high = curve[is_there, max(k - 1, 0)], curve[is_there, k]
                with np.errstate(divide="ignore", invalid="ignore"):  # of counts that an earlier one writes over
                    places[is_there] = k - 1 + (target[is_there] - low) / (high - low) if k else 0
        no_sooner += int((one >= other).sum())
    z = stats.norm.isf((no_sooner + 1) / (MORE_RESAMPLES + 1))
    return float(stats.t(seeds - 1).sf(z * math.sqrt((seeds - 1) / seeds)))


def difference(by_seed: Numbers) -> dict[str, Any]:
    n, d = len(by_seed), mean(by_seed)
    s = math.sqrt(math.fsum((one - d) ** 2 for one in by_seed) / (n - 1)) if n > 1 else None
    half = None if n < FEWEST or s is None else float(stats.t(n - 1).ppf(0.975)) * s / math.sqrt(n)
    return {
        "by_seed": list(by_seed),
        "mean": d,
        "sd": s,
        "low": None if half is None else d - half,
        "high": None if half is None else d + half,
        "non_inferiority": verdict(d, s, n, 0.01),
        "superiority": verdict(d, s, n, 0.0),
    }


def verdict(d: float, s: float | None, n: int, margin: float) -> dict[str, Any]:
    """In a corpus alone."""
    if n < FEWEST or s is None:
        return {"margin": margin, "p": None, "adjusted_p": None, "verdict": "too few seeds", "seeds_needed": None}
    p = float(stats.t(n - 1).sf((d + margin) * math.sqrt(n) / s)) if s else float(d + margin <= 0)
    return judged({"margin": margin, "p": p}, p, d, s, n, u=1)


def judged(of: Mapping[str, Any], adjusted: float, d: float, s: float | None, n: int, u: int) -> dict[str, Any]:
    """With the verdict of an adjusted p, and the seeds needed at the level of one of `u` corpora."""
    if of["p"] is None or s is None:
        return {**of, "adjusted_p": adjusted}
    is_shown, above = adjusted < 0.025, abs(d + of["margin"])
    fewest = CLAIM if is_shown else max(CLAIM, n + 1)
    enough = (k for k in range(fewest, 1001) if float(stats.t(k - 1).ppf(1 - 0.025 / u)) * s / math.sqrt(k) <= above)
    said = "too few seeds" if n < CLAIM else "shown" if is_shown else "not shown"
    return {**of, "adjusted_p": adjusted, "verdict": said, "seeds_needed": next(enough, None)}


def holm(ps: Sequence[float | None]) -> list[float]:
    """By its definition: the largest, over all p no larger than this one, of p times how many are no smaller."""
    known = [1.0 if p is None else p for p in ps]
    return [max(min(1.0, sum(q >= o for q in known) * o) for o in known if o <= p) for p in known]


def claimed(arms: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Of which arms, of one corpus or of several, a saving is claimed: the default and all others are two families."""
    savings = [arm["needs"][-1]["saving"] for arm in arms]
    ps = [None if of["share"] is None else of["p"] for of in savings]
    live = [arm["strategy"] == "live" for arm in arms]
    found = []
    for i, arm in enumerate(arms):
        family = [j for j in range(len(arms)) if live[j] is live[i]]
        found.append(len(arm["seeds"]) >= CLAIM and holm([ps[j] for j in family])[family.index(i)] < 0.025)
    return found


def is_baseline(name: str) -> bool:
    """Fitted without the transformer: told, and in no claim."""
    return name.startswith(("tfidf:", "frozen:"))


def judged_arms(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All arms but random and baselines."""
    return [arm for arm in comparison["arms"] if arm["strategy"] != "random" and not is_baseline(arm["strategy"])]


def over_corpora(compared: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `nextlabel report-corpora` writes to `corpora.json`, of several comparisons."""
    every = {arm["strategy"] for one in compared for arm in one["arms"]} - {"random"}
    names = sorted(every, key=lambda name: (":" in name, name))
    return {
        "corpora": [one["corpus"] for one in compared],
        "arms": [_over(name, [(one["corpus"], a) for one in compared for a in one["arms"] if a["strategy"] == name])
                 for name in names],
    }  # fmt: skip


def _over(name: str, found: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    finals = [arm["against_random"]["final_test"] for _, arm in found]
    adjusted = {}
    for question in ("non_inferiority", "superiority"):
        ps = holm([final[question]["p"] for final in finals])
        left = max(1, sum(p >= 0.025 for p in ps))
        adjusted[question] = [
            judged(final[question], p, final["mean"], final["sd"], len(final["by_seed"]), left)
            for final, p in zip(finals, ps, strict=True)
        ]
    rows = [
        {
            "corpus": corpus,
            "seeds": len(arm["seeds"]),
            **{what: final[what] for what in ("mean", "low", "high")},
            **{question: adjusted[question][i] for question in adjusted},
        }
        for i, ((corpus, arm), final) in enumerate(zip(found, finals, strict=True))
    ]
    return {"strategy": name, "corpora": rows, "summary": signed_rank([final["mean"] for final in finals])}


def signed_rank(z: Numbers) -> dict[str, Any]:
    values = [0.0, *z]
    draws = np.random.default_rng(0).dirichlet([0.5] + [1.0] * len(z), 50_000)

    def mass(sign: float) -> Any:
        return sum(
            np.heaviside(sign * (one + other) - 0.02, 0.5) * draws[:, i] * draws[:, j]
            for i, one in enumerate(values)
            for j, other in enumerate(values)
        )

    better, worse = mass(1), mass(-1)
    most = np.stack([1 - better - worse, worse, better]).argmax(axis=0)
    shares = [int((most == k).sum()) / len(draws) for k in range(3)]
    return {
        "worse": shares[1], "equivalent": shares[0], "better": shares[2],
        "mean": mean(z), "corpora": len(z),
    }  # fmt: skip
