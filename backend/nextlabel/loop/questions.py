"""Notices when questions and labels are added to a form in use: nobody is taken to have answered what was not asked.

A question that is shown by another condition than before is as one that is added.
"""

from dataclasses import replace

from nextlabel.labelstudio.client import LabelStudioClient, Project, iso
from nextlabel.labelstudio.config import added_questions, changed_labels
from nextlabel.labelstudio.project_options import note_asked
from nextlabel.settings import Settings
from nextlabel.store.pool import Pool
from nextlabel.store.state import SyncState
from nextlabel.values.options import ProjectOptions
from nextlabel.versions.registry import Registry


def with_new_questions(
    studio: LabelStudioClient, settings: Settings, registry: Registry, pool: Pool, project: Project, now: float
) -> ProjectOptions:
    """The project's options with `now`, in seconds since 1970, for each question that the form did not have, or showed
    by other conditions, at the last look, and for each label that came or went since. They are kept with the ML backend
    in Label Studio, as what they say cannot be found out again."""
    before, options = pool.state(SyncState).label_config, registry.options(project.id)
    if before in ("", project.label_config):
        return options
    when = iso(now)
    since = dict.fromkeys(added_questions(before, project.label_config, options), when)
    changes = changed_labels(before, project.label_config, options, when)
    if not since and changes == options.label_changes:
        return options
    note_asked(studio, settings, project.id, since, changes)
    options = replace(options, asked_since={**options.asked_since, **since}, label_changes=changes)
    registry.put_options(project.id, options)  # or the next look, which may come before that at Label Studio, has less
    return options
