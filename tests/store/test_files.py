"""A file is replaced at once, whoever reads or writes meanwhile."""

import re
import threading
from pathlib import Path

import pytest

from nextlabel.store.files import replace_file


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool) -> None:
    for text in ("one", "two \U0001f642"):
        replace_file(tmp_path / "a.json", text, durable)
        assert (tmp_path / "a.json").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_readers_see_the_whole_of_one_of_several_writers_texts(tmp_path: Path) -> None:
    path, texts = tmp_path / "CURRENT", ["a" * 20_000, "b" * 20_000]
    replace_file(path, texts[0])
    writers = [
        threading.Thread(target=lambda text=text: [*map(replace_file, [path] * 50, [text] * 50)]) for text in texts
    ]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_text(encoding="utf-8"))
    for writer in writers:
        writer.join()
    assert seen <= set(texts)
    assert [p.name for p in tmp_path.iterdir()] == ["CURRENT"]


def test_a_place_that_cannot_be_written_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.mkdir()
    for place in (path, tmp_path / "none" / "b.json"):
        with pytest.raises(OSError, match=re.escape(f"'{place}'")):  # and not the file beside it
            replace_file(place, "text")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
