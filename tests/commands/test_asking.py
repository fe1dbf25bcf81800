"""Before something is lost, a person is asked; where nobody can be, nothing is done."""

import io
import sys

import pytest

from nextlabel.commands._common import agreed
from nextlabel.errors import BadSettingError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "wanted"), [("y", True), ("Yes ", True), ("", False), ("no", False), ("yep", False)])
def test_at_a_terminal_only_a_yes_counts(typed: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    assert agreed("This deletes all.", yes=False) == wanted
    assert agreed("This deletes all.", yes=True)


def test_a_terminal_that_is_closed_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert not agreed("This deletes all.", yes=False)


def test_where_nobody_can_be_asked_the_switch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(BadSettingError, match=r"This deletes all\. .*--yes"):
        agreed("This deletes all.", yes=False)
