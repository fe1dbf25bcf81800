"""What Label Studio's requests name."""

import pytest

from nextlabel.errors import BadRequestError
from nextlabel.labelstudio.requests import project_id_of, project_in, task_ids_in

# Project ids


@pytest.mark.parametrize("value", ["17.1795444751", 17, "17"])
def test_a_project_id_is_read_in_all_its_forms(value: object) -> None:
    assert project_id_of(value) == 17


NO_IDS = [None, True, "x", "", -1, "-1", [1], {"id": 1}, ".17", " 17", "17\n", "٣", "²", float("nan"), 17.5, 1.7e18]
NO_IDS += ["17.", "17.x", "17./..", "17.1.2", 10**18, "0" * 19]


@pytest.mark.parametrize("value", NO_IDS)
def test_anything_else_is_no_project_id(value: object) -> None:
    with pytest.raises(BadRequestError, match="is not a Label Studio project id"):
        project_id_of(value)


@pytest.mark.parametrize("project", [17, "17", {"id": 17}, {"id": 17, "title": "a project"}])
def test_an_event_names_its_project_by_its_id_or_as_a_whole(project: object) -> None:
    assert project_in({"action": "ANNOTATION_CREATED", "project": project}) == 17


@pytest.mark.parametrize("event", [{}, {"project": None}, {"project": {}}, {"project": [17]}])
def test_an_event_that_names_no_project_is_refused(event: dict[str, object]) -> None:
    with pytest.raises(BadRequestError, match="is not a Label Studio project id"):
        project_in(event)


@pytest.mark.parametrize(
    ("tasks", "ids"),
    [
        ([{"id": 1}, {"id": 0}, {"id": 2**62}], [1, 0, 2**62]),
        ([{"id": True}, {"id": -1}, {"id": "1"}, {"id": 2**63}, {}, 7, None], []),
        (None, []),
        ({"id": 1}, []),
    ],
)
def test_of_the_tasks_of_an_event_those_with_an_id_are_taken(tasks: object, ids: list[int]) -> None:
    assert task_ids_in({"tasks": tasks}) == ids
