"""Commands that people are advised to give: whole, to be pasted, and known to the parsers that read them."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT
from nextlabel.__main__ import COMMANDS, main
from nextlabel.errors import RefusedConfigError

PACKAGE = ROOT / "backend" / "nextlabel"
NAMES = "|".join(sorted((name for group in COMMANDS.values() for name in group), key=len, reverse=True))
COMMAND = re.compile(rf"nextlabel ({NAMES})\b")
# What stands in the place of what is known only when it is said, or what a person has to put in.
URL = "http://localhost:9090"
SAMPLES = {"project": "7", "number": "5", "needed": "90", "wanted": "30", "url": URL, "here": URL, "there": URL}
SAMPLES |= {"CONNECTS[name]": "--fields A,B", "question": " --question q", "changes": "head=off", "ID": "7", "N": "30"}
# Not advised, but spoken of: what wrote a file, is at work, or is named in the help of another command.
SPOKEN_OF = re.compile(
    rf"nextlabel ({NAMES})"
    r"(`? (wrote|writes|made|is at work|be asked|gives|takes|makes|plays|finish|again with the same)"
    r"| \(\d| first\)|\)$|`, one|`; its| --beside$)"
)


class _ParsedError(BaseException):
    """The command line was read, and nothing is done."""


@pytest.fixture
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = argparse.ArgumentParser.parse_args

    def parse(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)


def is_read(line: str) -> bool:
    """Whether the command line is one that its command takes."""
    line = re.sub(r" (&&?|>) .*|\$\(.*?\)", "", line.removesuffix(" &"))  # the rest is the shell's
    given = [SAMPLES[word] if word in ("ID", "N") else word for word in shlex.split(line, comments=True)]
    try:
        code = main(given[1:])
    except _ParsedError:
        return True
    except SystemExit:
        return False
    assert code == 2, f"{line!r} was done"
    return False  # there is no such command


def sentences(path: Path) -> Iterator[str]:
    """What a module may say: its texts but for docstrings, with samples in their gaps."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    elsewhere = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    elsewhere |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    named = {
        ast.unparse(node.targets[0]): str(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    for node in nodes:
        if id(node) in elsewhere:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{(\w*)\}", lambda gap: SAMPLES.get(gap[1], SAMPLES["project"]), node.value)
        elif isinstance(node, ast.JoinedStr):
            yield "".join(_filled(part, named) for part in node.values)


def _filled(part: ast.expr, named: dict[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    what = ast.unparse(part.value)
    if "project" in what:
        return SAMPLES["project"]
    return named.get(what) or SAMPLES.get(what.rpartition(".")[2], "x")


def wrong(sentence: str) -> Iterator[str]:
    """What is advised in it and cannot be given as it stands. A command stands in backticks, or ends its line."""
    for line in sentence.splitlines():
        for found in COMMAND.finditer(line):
            quoted = line[: found.start()].count("`") % 2 == 1
            command = line[found.start() :].partition("`")[0] if quoted else line[found.start() :]
            spoken_of = SPOKEN_OF.match(line[found.start() :]) or found[0] == sentence.strip()  # the name of a program
            if not spoken_of and not is_read(command):
                yield f"{command!r} in {line!r}"


@pytest.mark.usefixtures("only_parsing")
def test_every_command_that_a_sentence_advises_can_be_given_as_it_stands() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    found = {file: [one for said in sentences(file) for one in wrong(said)] for file in files}
    assert {str(file.relative_to(PACKAGE)): said for file, said in found.items() if said} == {}


@pytest.mark.usefixtures("only_parsing")
def test_so_can_those_of_the_page() -> None:
    def sample(gap: re.Match[str]) -> str:
        return SAMPLES["number" if "number" in gap[1] else "project"]

    for template in sorted((PACKAGE / "web" / "templates").rglob("*.html")):
        text = re.sub(r"\{\{ (.*?) \}\}", sample, template.read_text(encoding="utf-8"))
        for command in re.findall(r"<code>(nextlabel .*?)</code>", text):
            assert is_read(command), f"{template.name}: {command}"


@pytest.mark.usefixtures("only_parsing")
def test_so_can_those_of_the_documents() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if COMMAND.match(line.strip()) and not re.search(r"\$\w", line):
                    assert is_read(line.strip()), f"{document.name}: {line}"


# A command with one of its options or parts, which is spoken of; a line that goes on with dots.
NAMED = re.compile(rf"nextlabel ({NAMES})( --[a-z-]+| [a-z]+)?$|.* \.\.\.$")


@pytest.mark.usefixtures("only_parsing")
def test_so_can_those_in_their_sentences() -> None:
    wrong = []
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for quoted in re.findall(r"`(nextlabel\s[^`]+)`", text):
            command = " ".join(quoted.split())
            if not NAMED.match(command) and not is_read(command):
                wrong.append(f"{document.name}: {command}")
    assert wrong == []


def test_a_command_that_is_refused_says_the_number_that_it_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(arguments: object) -> None:
        raise RefusedConfigError("Choose with `nextlabel connect --project ID --fields A,B`.")

    monkeypatch.setattr("nextlabel.commands.connect.main", refused)
    for given, number in ((["--project", "17"], "17"), (["--project=17"], "17"), ([], "ID")):
        assert main(["connect", *given]) == 1
        assert capsys.readouterr().err == f"Choose with `nextlabel connect --project {number} --fields A,B`.\n"


@pytest.mark.usefixtures("only_parsing")
@pytest.mark.parametrize(
    "sentence",
    ["nextlabel connect --holdout 30 has as many.", "Run `nextlabel connect` again.", "`nextlabel certificate stop`"],
)
def test_half_a_command_is_noticed(sentence: str) -> None:
    assert list(wrong(sentence))
