"""Tells whoever wants to hear it that the advice on a project is another one: in the log and, if one is set, to a
webhook of the operator's. Nothing waits for that webhook."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from urllib.parse import urlsplit

import httpx

from nextlabel.problems.advice import Advice
from nextlabel.store.pool import Pool
from nextlabel.store.state import ToldState

log = logging.getLogger(__name__)

STANDS_LOOKS = 5  # by the clock, for which an advice has to stand before it is told: one that comes and goes is none
ANSWER_S = 5.0  # for each step of a request
PAUSES_S = (2.0, 30.0)  # before the second and the third try
AT_A_TIME = 4  # requests that are under way, tries included


class Teller:
    """Tells each advice once, also when it is another trainer's turn, after it has stood for `stands_s`. `url` is the
    webhook's, empty where there is none."""

    def __init__(self, url: str, stands_s: float, pauses_s: Sequence[float] = PAUSES_S):
        self._url, self._stands_s, self._pauses_s = url, stands_s, pauses_s
        self._free = threading.BoundedSemaphore(AT_A_TIME)

    def look(self, pool: Pool, project: int, advice: Advice, now: float) -> None:
        """Tell the advice, if it is another one than was told last and has stood for long enough."""
        if not advice.key or advice.key == pool.state(ToldState).advice or now - advice.since < self._stands_s:
            return
        pool.update(ToldState, lambda state: replace(state, advice=advice.key))
        log.info("project %d: what to do next: %s", project, advice.sentence)
        if self._url:
            self._send_beside(project, advice)

    def _send_beside(self, project: int, advice: Advice) -> None:
        if not self._free.acquire(blocking=False):
            log.warning("project %d: ADVICE_WEBHOOK is not told, as it has still to answer for others", project)
            return
        threading.Thread(target=self._send, args=(project, advice), daemon=True).start()

    def _send(self, project: int, advice: Advice) -> None:
        try:
            why = ""
            for pause_s in (0.0, *self._pauses_s):
                time.sleep(pause_s)
                why, again = _post(self._url, {"project": project, **asdict(advice)})
                if not again:
                    break
            if why:
                log.warning("project %d: ADVICE_WEBHOOK at %s %s", project, urlsplit(self._url).hostname, why)
        finally:
            self._free.release()


def _post(url: str, body: dict[str, object]) -> tuple[str, bool]:
    """Why it was not taken, empty when it was, and whether another try may help.

    Redirects are not followed: what is told goes where the operator said. The answer's body is not read.
    """
    try:
        with httpx.stream("POST", url, json=body, timeout=ANSWER_S) as answer:
            code = answer.status_code
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        OSError,
        UnicodeError,
    ) as error:  # its words may hold the address, which may be a secret
        return f"did not answer ({type(error).__name__})", True
    if answer.is_redirect:
        return f"answers {code} and names another address, which is not followed: set that one", False
    return ("", False) if answer.is_success else (f"answers {code}", code == 429 or code >= 500)
