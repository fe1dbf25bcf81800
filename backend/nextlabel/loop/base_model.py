"""Whether fits can begin with the base checkpoint: looked at now and then, and said on the status board."""

import logging
import threading
from collections.abc import Callable

from nextlabel.errors import NextlabelError
from nextlabel.model import base_check
from nextlabel.model.classifier import Recipe
from nextlabel.store.status import BaseModelStatus, StatusBoard

log = logging.getLogger(__name__)

PAUSE_S = 60.0  # between two looks at one that cannot be used


class BaseModel:
    """The checkpoint that a recipe begins with. Thread-safe."""

    def __init__(self, recipe: Recipe, board: StatusBoard, now: Callable[[], float]):
        self._recipe, self._board, self._now, self._looking = recipe, board, now, threading.Lock()

    def look(self, anew: bool = True) -> None:
        """Say whether it can be used; not `anew`: only if that is not known, or it could not be used lately."""
        name = self._recipe.base_model
        with self._looking:
            known = self._board.base_model(name)
            lately = abs(self._now() - known.at) < PAUSE_S
            if not anew and (known.state == "usable" or lately):
                return
            state, message = self._checked()
            if (known.state, known.message) != (state, message):
                log.log(logging.INFO if state == "usable" else logging.ERROR, "base model %s: %s", state, message)
            self._board.put_base_model(BaseModelStatus(state, name, message, self._now()))

    def _checked(self) -> tuple[str, str]:
        try:
            check = base_check.check_base(self._recipe)
        except NextlabelError as error:
            return "failed", str(error)
        except Exception as error:
            log.exception("the base checkpoint cannot be looked at")
            return "failed", f"internal error ({type(error).__name__}); see the trainer's log"
        why = f", because {check.why_fp32}" if check.why_fp32 else ""
        size = f"{check.parameters / 1e6:.1f} million parameters"
        return "usable", f"{check.architecture}, {size}, on {check.device} in {check.precision}{why}."
