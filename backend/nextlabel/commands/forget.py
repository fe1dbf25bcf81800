"""Deletes every file of a project in MODEL_DIR: versions, audits, the copy of its tasks, status.

The project must be disconnected first (nextlabel connect --project ID --disconnect). Labels and tasks stay in Label
Studio, and what has been logged in the log. Run it with the same environment (.env) as the backend.
"""

from collections.abc import Sequence

from nextlabel.commands._common import agreed, new_parser, show, studio_from_settings
from nextlabel.loop.forgetting import forget, what_goes
from nextlabel.settings import load_settings
from nextlabel.store.jobs import JobQueue


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, ask, forget; the exit code is 1 when the person does not want it."""
    parser = new_parser("nextlabel forget", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    settings, studio = load_settings(), studio_from_settings()
    question = f"This deletes {what_goes(settings, studio, options.project)}."
    if options.yes:
        show(question)
    if not agreed(question, options.yes):
        return 1
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
    forget(settings, studio, jobs, options.project)
    print(f"MODEL_DIR={settings.model_dir} holds no file of project {options.project} any more.")
    return 0
