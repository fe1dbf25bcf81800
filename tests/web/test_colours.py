"""Whether people who see fewer colours can tell the lines of the figure apart, by a simulation of how they see them.

Machado, Oliveira and Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (IEEE
TVCG 15:6): the matrices of severity 1.0, on linear RGB. Distances are those of CIELAB (1976), where 2.3 is just seen.
"""

import re
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest

from nextlabel.values.arrays import Array
from nextlabel.web.pages import STATIC

CSS, SCRIPT = (STATIC / "page.css").read_text(encoding="utf-8"), (STATIC / "page.js").read_text(encoding="utf-8")
SEEN_BY: Mapping[str, Array] = {
    "everybody else": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
FAR = 20.0  # from where on nobody mixes two colours up, side by side or not
CLEAR = 3.0  # contrast of a line on its ground (WCAG 2.2, 1.4.11)


def colours(theme: str) -> dict[str, str]:
    """By name, as the style sheet has them."""
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#\w+)", light if theme == "light" else light + dark))


def dashes() -> dict[str, str]:
    """The lines of the figure, by the name of the colour, and how each is broken up; empty: it is not."""
    return dict(re.findall(r'line\("[^"]+", "(\w+)"(?:, (\[[^\]]*\]))?\)', SCRIPT))


def linear(colour: str) -> Array:
    channels = np.array([int(digits * (2 // len(digits)), 16) for digits in _digits(colour)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _digits(colour: str) -> list[str]:
    size = 1 if len(colour) == 4 else 2
    return [colour[1 + size * n : 1 + size * (n + 1)] for n in range(3)]


def seen(colour: str, by: str) -> Array:
    """In linear RGB."""
    return np.clip(SEEN_BY[by] @ linear(colour), 0.0, 1.0)


def lab(rgb: Array) -> Array:
    ratios = TO_XYZ @ rgb / TO_XYZ.sum(axis=1)
    x, y, z = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: str, other: str, by: str) -> float:
    return float(np.linalg.norm(lab(seen(one, by)) - lab(seen(other, by))))


def test_the_distance_is_that_of_the_books_and_a_simulation_leaves_grey_alone() -> None:
    assert lab(linear("#fff")) == pytest.approx([100, 0, 0], abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.01)
    for by in SEEN_BY:
        assert seen("#808080", by) == pytest.approx(linear("#808080"), abs=1e-4)
    assert distance("#c00000", "#4f4f00", "protanopia") < FAR < distance("#c00000", "#4f4f00", "everybody else")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("by", SEEN_BY)
def test_lines_that_are_drawn_together_can_be_told_apart(by: str, theme: str) -> None:
    named, lines = colours(theme), dashes()
    assert list(lines) == ["model", "random", "majority"]
    for one, other in combinations(lines, 2):
        assert distance(named[one], named[other], by) >= FAR, (one, other)
    assert len(set(lines.values())) == len(lines), "and by their dashes, where no colour is printed"
    for line in lines:
        light, dark = sorted((seen(named[of], by) @ TO_XYZ[1] + 0.05 for of in (line, "ground")), reverse=True)
        assert light / dark >= CLEAR, line


def test_the_key_below_the_figure_has_the_lines_of_the_figure() -> None:
    kinds = {"": "solid", "[9, 5]": "dashed", "[2, 4]": "dotted"}
    drawn = dict(re.findall(r"\.line(?:\.(\w+))? \{[^}]*?border-top: 3px (\w+) var", CSS))
    assert {name or "model": kind for name, kind in drawn.items()} == {
        name: kinds[dash] for name, dash in dashes().items()
    }
