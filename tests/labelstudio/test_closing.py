"""Copies of labelled texts are closed in a real Label Studio, which then serves only what somebody needs to label."""

from helpers.scripts import run
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text" choice="single">'
    '<Choice value="pos"/><Choice value="neg"/></Choices></View>'
)
RESULT = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["pos"]}}]
TEXTS = ("Where is it?", "where is IT?", "where  is it?", "Who is it?", "who is it?")


def served(studio: LabelStudioClient, project: int) -> dict[str, bool]:
    return {task["data"]["text"]: not task["is_labeled"] for page in studio.tasks_after(project, 0) for task in page}


def test_copies_of_labelled_texts_are_closed_and_opened_again(
    label_studio: LocalStudio, studio: LabelStudioClient
) -> None:
    project = studio.create_project("copies", CONFIG)
    tasks = [{"data": {"text": text}} for text in TEXTS]
    studio.import_tasks(project, [{**tasks[0], "annotations": [{"result": RESULT}]}, *tasks[1:]])
    keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}
    before = served(studio, project)
    assert list(before.values()) == [False, True, True, True, True]

    ids = sorted(studio.task_ids(project))[1:3]
    dry = run("close_copies.py", "--project", project, "--dry-run", **keys)
    assert dry.stdout == f"project {project}: would have closed 2 tasks: {ids[0]}, {ids[1]}\n", dry.stderr
    assert served(studio, project) == before

    assert run("close_copies.py", "--project", project, **keys).stdout == f"project {project}: closed 2 tasks\n"
    assert list(served(studio, project).values()) == [False, False, False, True, True]
    assert run("close_copies.py", "--project", project, **keys).stdout == f"project {project}: closed 0 tasks\n"

    undone = run("close_copies.py", "--project", project, "--undo", **keys)
    assert undone.stdout == f"project {project}: opened 2 tasks\n", undone.stderr
    assert served(studio, project) == before
