"""Does what somebody asked for on a project's page and only the trainer may do: options are changed in Label Studio."""

from collections.abc import Mapping

from nextlabel.errors import NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.project_options import change, take_new_defaults
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.presses import DONE, FIT, REFUSED, Press, Presses
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

SWITCHED: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {  # options on and off, by their buttons
    "show_names": ({"show_people": "on"}, {"show_people": ""}),
    "look_again": ({"look_again": "3"}, {"look_again": "", "second_votes": ""}),  # off: nobody is asked any more
}


class Pressing:
    """Of all projects."""

    def __init__(self, settings: Settings, registry: Registry, studio: LabelStudioClient, jobs: JobQueue):
        self._settings, self._registry, self._studio, self._jobs = settings, registry, studio, jobs
        self._presses, self._audits = Presses(settings.model_dir), Audits(settings.model_dir)

    def waits(self, project: int) -> bool:
        """Whether something is asked for that is done here."""
        return any(press.action != FIT for press in self._presses.asked(project))

    def do(self, project: int) -> None:
        """All that is asked for, or it is said why not: Label Studio has just answered, so what fails now is refused,
        and whoever pressed may press again. A fit that begins is noted there; one that nobody demands any more was
        made meanwhile."""
        for press in self._presses.asked(project):
            if press.action == FIT:
                if not self._jobs.demanded(project):
                    self._presses.answer(project, press, DONE)
                continue
            try:
                self._do(project, press)
            except NextlabelError as error:
                self._presses.answer(project, press, REFUSED, str(error))
            else:
                self._presses.answer(project, press, DONE)

    def refuse(self, project: int, why: str) -> None:
        """None of what is asked for can be done, nor is it done later, when nobody expects it any more."""
        for press in self._presses.asked(project):
            self._presses.answer(project, press, REFUSED, why)
        self._jobs.demand_met(project, self._jobs.demanded(project))

    def _do(self, project: int, press: Press) -> None:
        if press.action == "take_defaults":
            options = take_new_defaults(self._studio, self._settings, project)
        else:
            options = change(self._studio, self._settings, project, _options_of(press))
        self._registry.put_options(project, options)
        if press.action == "resume" and self._audits.rests(project):
            self._audits.release(project)


def _options_of(press: Press) -> Mapping[str, str]:
    if press.action in ("pause", "resume"):
        return {"pause": "on" if press.action == "pause" else ""}
    if press.action not in SWITCHED:
        raise NextlabelError(f"This trainer knows no button {press.action!r}. Update it, and restart it.")
    on, off = SWITCHED[press.action]
    return on if press.about == "on" else off
