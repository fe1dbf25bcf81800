"""What the trainer tells the web process: small files that are whole or absent."""

import subprocess
import sys
from pathlib import Path

import pytest

from nextlabel.store.status import FitStatus, QueueStatus, StatusBoard
from nextlabel.values.traffic import Traffic


@pytest.fixture
def board(tmp_path: Path) -> StatusBoard:
    return StatusBoard(tmp_path)


def test_nothing_is_known_of_a_new_project(board: StatusBoard) -> None:
    assert board.queue(1) == QueueStatus()
    assert board.fit(1) == FitStatus()


def test_a_change_keeps_the_other_fields_and_sets_the_time(board: StatusBoard) -> None:
    board.put_queue(1, 5.0, state="published", title="Größe 🙂", warnings=("a", "b"))
    board.put_queue(1, 6.5, pool=3)
    expected = QueueStatus(state="published", title="Größe 🙂", warnings=("a", "b"), pool=3, at=6.5)
    assert board.queue(1) == expected
    board.put_fit(1, 7.0, state="fitting", stage="score", done=3)
    assert board.fit(1) == FitStatus(state="fitting", stage="score", done=3, at=7.0)
    assert board.queue(1) == expected, "queue and fit have a file each"
    assert board.queue(2) == QueueStatus()


def test_another_process_reads_what_was_written_and_no_draft_is_left(board: StatusBoard, tmp_path: Path) -> None:
    board.put_queue(1, 5.0, state="failed")
    assert StatusBoard(tmp_path).queue(1).state == "failed"
    assert [path.name for path in (tmp_path / "status").iterdir()] == ["1.queue.json"]


def test_a_trainers_traffic_is_its_latest_and_that_of_several_adds_up(board: StatusBoard, tmp_path: Path) -> None:
    assert board.traffic() == Traffic()
    board.put_traffic(Traffic(1, 20, 300))
    board.put_traffic(Traffic(2, 40, 600))
    assert board.traffic() == Traffic(2, 40, 600)
    other = StatusBoard(tmp_path)
    other.put_traffic(Traffic(5, 0, 7))
    board.put_traffic(Traffic(3, 40, 600))
    assert board.traffic() == other.traffic() == Traffic(8, 40, 607)
    assert board.queue(1) == QueueStatus()


def test_however_often_trainers_start_their_traffic_is_in_as_many_files_as_they_are_at_a_time(tmp_path: Path) -> None:
    counting = "import sys; from pathlib import Path; from nextlabel.store.status import StatusBoard, Traffic;"
    putting = "StatusBoard(Path(sys.argv[1])).put_traffic(Traffic(2, 40, 600))"
    (tmp_path / "status").mkdir()
    for name in ("traffic.host-17.json", "traffic.host.example.org-18.json"):
        (tmp_path / "status" / name).write_text('{"requests": 1, "sent": 2, "received": 3}')
    living = StatusBoard(tmp_path)
    living.put_traffic(Traffic(1, 1, 1))
    for _ in range(3):
        subprocess.run([sys.executable, "-c", counting + putting, str(tmp_path)], check=True)
    living.put_traffic(Traffic(2, 2, 2))
    assert living.traffic() == Traffic(2 * 1 + 2 + 3 * 2, 2 * 2 + 2 + 3 * 40, 2 * 3 + 2 + 3 * 600)
    assert sorted(path.name for path in (tmp_path / "status").iterdir()) == ["traffic.0.json", "traffic.1.json"]


def test_an_unknown_field_is_a_mistake_and_changes_nothing(board: StatusBoard) -> None:
    board.put_fit(1, 1.0, state="fitting")
    with pytest.raises(TypeError, match="stat"):
        board.put_fit(1, 2.0, stat="idle")
    assert board.fit(1) == FitStatus(state="fitting", at=1.0)


@pytest.mark.parametrize("damage", ["", '{"state": "publ'])
def test_a_damaged_file_counts_as_nothing_known_and_can_be_written_again(
    board: StatusBoard, tmp_path: Path, damage: str
) -> None:
    board.put_queue(1, 5.0, state="published")
    (tmp_path / "status" / "1.queue.json").write_text(damage)
    assert board.queue(1) == QueueStatus()
    board.put_queue(1, 6.0, state="published")
    assert board.queue(1).state == "published"


def test_a_status_of_another_release_or_a_damaged_one_is_as_good_as_none(tmp_path: Path) -> None:
    board = StatusBoard(tmp_path)
    (tmp_path / "status").mkdir()
    for content in ('{"state": "idle", "seconds": {}}', "null", "[]", "{"):
        (tmp_path / "status" / "1.fit.json").write_text(content)
        assert board.fit(1).state == "idle"
