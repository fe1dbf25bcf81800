"""The demo's robot and a person who labels beside it, at once, on a real Label Studio."""

from concurrent.futures import ThreadPoolExecutor

from nextlabel.lab.importing import PAIR_CONFIG, result_of
from nextlabel.lab.robot import Robot
from nextlabel.lab.sandbox import LocalStudio

TASKS, ROUNDS = 24, 8


def test_nobodys_task_gets_two_annotations(label_studio: LocalStudio) -> None:
    studio = label_studio.connect()
    project = studio.create_project("beside a robot", PAIR_CONFIG)
    studio.import_tasks(project, [{"data": {"sentence1": f"one {i}", "sentence2": "two"}} for i in range(TASKS)])
    answers = Robot(label_studio, project, lambda task: "equivalent").answers()
    by_person, by_robot = set[int](), set[int]()
    with ThreadPoolExecutor(2) as both:
        for _ in range(ROUNDS):  # on SQLite, most of the time both are served the same task
            robot, served = both.submit(next, answers), studio.next_task(project)
            by_robot.add(robot.result().task_id)
            assert served is not None
            assert served["id"] not in by_robot
            studio.annotate(served["id"], result_of("different"))
            by_person.add(served["id"])
    by_robot |= {answer.task_id for answer in answers}
    tasks = [task for page in studio.tasks_after(project, 0) for task in page]
    assert [len(task["annotations"]) for task in tasks] == [1] * TASKS
    assert by_robot | by_person == {task["id"] for task in tasks}
    assert not by_robot & by_person
    again = Robot(label_studio, project, lambda task: "different")  # with the same account
    assert list(again.answers()) == []
