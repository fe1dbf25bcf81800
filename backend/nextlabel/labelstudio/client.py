"""All that the product asks of Label Studio, through label-studio-sdk. Knows no models and keeps nothing.

What lab plays in a load test, annotators' browsers, speaks to it like browsers.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any, NamedTuple, TypeVar
from uuid import NAMESPACE_URL, uuid5

import httpx
from label_studio_sdk.base_client import LabelStudioBase
from label_studio_sdk.core.api_error import ApiError

from nextlabel.errors import StudioError, without_password
from nextlabel.labelstudio.controls import results
from nextlabel.labelstudio.reaching import in_front, proxy_between, remedy_of
from nextlabel.labelstudio.requests import WEBHOOK_ACTIONS
from nextlabel.labelstudio.tasks import TASK_FIELDS
from nextlabel.values.queue import Published
from nextlabel.values.traffic import Traffic
from nextlabel.values.versions import is_ours

Answer = TypeVar("Answer")

UNCERTAINTY = "Uncertainty sampling"
SEQUENTIAL = "Sequential sampling"  # Label Studio's default
PAGE = 1000
LAST = 2**31 - 1  # Label Studio's highest id
PROJECT_FIELDS = (
    "id",
    "title",
    "label_config",
    "sampling",
    "model_version",
    "show_collab_predictions",
    "min_annotations_to_start_training",
    "evaluate_predictions_automatically",
    "maximum_annotations",
)
PROJECT_COUNTS = ("task_number", "total_annotations_number", "finished_task_number")


class StudioRefusedError(StudioError):
    """Label Studio answered with an error status; `code` is it, `body` what it said in full."""

    def __init__(self, message: str, code: int, body: str = ""):
        super().__init__(message)
        self.code, self.body = code, body


class StudioAwayError(StudioError):
    """Label Studio cannot be reached: it has not heard of the request."""


class Counts(NamedTuple):
    """How many tasks, and how many annotations on them."""

    tasks: int
    annotations: int


@dataclass(frozen=True)
class Project:
    """What a reconcile needs to know of a project. `tasks`, `annotations` (without skips) and `finished` (tasks that
    are no longer served) are 0 if not asked for. So many `people` are asked about each task."""

    id: int
    title: str
    label_config: str
    sampling: str
    model_version: str | None
    show_predictions: bool
    tasks: int
    annotations: int
    trains_in_request: bool
    predicts_on_page_load: bool
    finished: int = 0
    people: int = 1


class Served(NamedTuple):
    """How many `people` Label Studio asks about a task, how many `annotations` it has, without skips, and whether it is
    `finished`, so that nobody is asked any more."""

    people: int
    annotations: int
    finished: bool


@dataclass(frozen=True)
class MLBackend:
    """A backend registered with a project. `model_version` is what its /setup last answered; `since` the ISO time from
    which on it is there."""

    id: int
    url: str
    title: str
    model_version: str
    state: str
    error: str
    extra_params: Mapping[str, Any]
    since: str = ""


@dataclass(frozen=True)
class Webhook:
    """A webhook of a project."""

    id: int
    url: str
    active: bool
    all_actions: bool
    with_payload: bool
    actions: tuple[str, ...]
    headers: Mapping[str, str]


class LabelStudioClient:
    """A connection. Every method raises `StudioError` with a remedy when Label Studio refuses or is away."""

    def __init__(self, url: str, api_key: str, timeout_s: float = 60):
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._traffic = Traffic()
        self._counting = threading.Lock()

    @cached_property
    def _sdk(self) -> Any:
        # The SDK's own HTTP client and tokens: it adds the legacy token, or exchanges a personal access token and
        # renews it every 5 minutes, and repeats after 5xx. Its typed methods lack model versions and cost time on
        # large pages. Its `LabelStudio` adds only such methods, and 80 MB with pandas.
        if not self._api_key:
            raise StudioError(
                "LABEL_STUDIO_API_KEY is not set. Create a token in Label Studio under Account & Settings and set it."
            )
        # urljoin in the SDK's token refresh drops the last path part of a URL without a trailing slash.
        client: Any = LabelStudioBase(base_url=self.url + "/", api_key=self._api_key, timeout=self._timeout_s)
        wrapper = client._client_wrapper
        # On the innermost client, so that repetitions and renewed tokens count too.
        hooks = {"request": [self._count_request], "response": [self._count_response, self._stay]}
        wrapper.httpx_client.httpx_client.event_hooks = hooks
        return wrapper

    def traffic(self) -> Traffic:
        """What has gone over this connection so far."""
        with self._counting:
            return self._traffic

    def _count_request(self, request: httpx.Request) -> None:
        self._count(Traffic(requests=1, sent=int(request.headers.get("content-length", 0))))

    def _count_response(self, response: httpx.Response) -> None:
        response.read()
        self._count(Traffic(received=response.num_bytes_downloaded))

    def _stay(self, response: httpx.Response) -> None:
        """Not be sent on to another server: a POST would arrive there as a GET, and the token not at all."""
        there = response.url.join(response.headers["location"]) if response.has_redirect_location else response.url
        if (there.scheme, there.netloc) != (response.url.scheme, response.url.netloc):
            place = without_password(there.copy_with(query=None, fragment=None))
            raise StudioError(
                f"{without_password(self.url)} sends what is asked of it on to {place}, and what is written would get "
                "lost on the way. If that is Label Studio, set LABEL_STUDIO_URL to its address there; if it is a "
                "login, let requests to /api/ pass it."
            )

    def _count(self, more: Traffic) -> None:
        with self._counting:
            self._traffic += more

    def _call(self, method: str, path: str, **kwargs: Any) -> Any:
        what = f"{method} {path}"
        try:
            response = self._ask(method, path, **kwargs)
        except ApiError as error:
            raise self._refusal(what, error.status_code or 0, error.body) from None
        except (httpx.HTTPError, OSError, ImportError) as error:
            unheard = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise self._away(error, StudioAwayError if unheard else StudioError) from None
        except json.JSONDecodeError:
            raise self._strange("POST api/token/refresh/", "no token") from None
        except ValueError as error:  # of a proxy of which httpx cannot make anything, or of a token that is none
            if proxy_between(self.url):
                raise self._away(error, StudioError) from None
            raise self._strange("POST api/token/refresh/", "no token") from None
        try:
            answer = response.json() if response.content else None
        except ValueError:
            kind = response.headers.get("content-type", "").partition(";")[0] or "no type"
            known = in_front(response.status_code, response.headers.get("www-authenticate", ""))
            raise self._strange(what, f"status {response.status_code}, {kind}", known) from None
        if response.status_code >= 400:
            raise self._refusal(what, response.status_code, answer)
        return answer

    def _ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        response: httpx.Response = self._sdk.httpx_client.request(path, method=method, **kwargs)
        tokens = self._sdk._tokens_client
        if response.status_code == 401 and not tokens._use_legacy_token:
            # By our clock the access token may still be valid, and the SDK would go on with it for minutes.
            tokens._access_token = None
            response = self._sdk.httpx_client.request(path, method=method, **kwargs)
        return response

    def _read(self, reader: Callable[[Any], Answer], method: str, path: str, **kwargs: Any) -> Answer:
        """What the reader makes of the answer."""
        answer = self._call(method, path, **kwargs)
        try:
            return reader(answer)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._strange(f"{method} {path}", f"{type(error).__name__}: {error}") from None

    def _away(self, error: Exception, kind: type[StudioError]) -> StudioError:
        remedy = remedy_of(self.url, error, "Start it, or correct LABEL_STUDIO_URL.")
        return kind(
            f"Label Studio at {without_password(self.url)} does not answer ({type(error).__name__}: "
            f"{without_password(error)}). {remedy}"
        )

    def _strange(self, what: str, why: str, known: str = "") -> StudioError:
        otherwise = known or "Correct LABEL_STUDIO_URL, or look for a proxy or a login page in between."
        return StudioError(
            f"What {without_password(self.url)} answers to {what} is not Label Studio's ({why}). "
            f"{proxy_between(self.url) or otherwise}"
        )

    def _refusal(self, what: str, code: int, body: Any) -> StudioRefusedError:
        remedy = ""
        if code == 401 and "legacy" in str(body):
            remedy = (
                " LABEL_STUDIO_API_KEY is a legacy token and legacy tokens are switched off: use a personal access "
                "token, or allow legacy tokens under Organization > API tokens."
            )
        elif code == 401:
            remedy = " Check LABEL_STUDIO_API_KEY: a personal access token or a legacy token of a user is needed."
        elif code == 404:
            remedy = " Check the id, and that the token's user belongs to the organisation that owns it."
        return StudioRefusedError(f"Label Studio answered {code} to {what}: {_short(body)}.{remedy}", code, str(body))

    # Reading

    def version(self) -> str:
        """Label Studio's release, such as 1.23.2."""
        return self._read(lambda raw: str(raw.get("release", "unknown")), "GET", "api/version")

    def user(self) -> str:
        """The e-mail address of the token's owner."""
        return self._read(lambda raw: str(raw.get("email", "")), "GET", "api/current-user/whoami")

    def account(self) -> int:
        """The id of the token's owner."""
        return self._read(_id, "GET", "api/current-user/whoami")

    def accounts(self) -> dict[int, str]:
        """The e-mail address of every account of the token's organisation, by its id."""
        return self._read(lambda raw: {_id(user): str(user["email"]) for user in _rows(raw)}, "GET", "api/users/")

    def project(self, project: int, with_counts: bool = True) -> Project:
        """The project as it is now. Its counts are optional: they cost Label Studio more the larger it is."""
        fields = PROJECT_FIELDS + PROJECT_COUNTS if with_counts else PROJECT_FIELDS
        return self._read(_project, "GET", f"api/projects/{project}", params={"include": ",".join(fields)})

    def tasks_after(self, project: int, task_id: int) -> Iterator[list[dict[str, Any]]]:
        """All tasks with a higher id, by id, in pages, with the fields that `read_task` looks at."""
        return self._pages(project, after=task_id)

    def part_after(self, project: int, task_id: int) -> tuple[list[dict[str, Any]], int]:
        """The first page of the tasks with a higher id, and up to which id it holds them all: `LAST` if it is the last.

        At most `PAGE` tasks in one request, with the fields that `read_task` looks at.
        """
        page, total = self._tasks(project, [_filter("id", "greater", task_id, "Number")])
        return page, int(page[-1]["id"]) if 0 < len(page) < total else LAST

    def tasks_changed_since(self, project: int, when: str, overlap_s: float) -> Iterator[list[dict[str, Any]]]:
        """All tasks whose `updated_at` is later than `when` less the overlap, in pages by id.

        A label, a skip, an edit and a prediction written or deleted all count as a change.
        """
        since = (moment(when) - timedelta(seconds=overlap_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return self._pages(project, _filter("updated_at", "greater", since, "Datetime"))

    def annotated_tasks(self, project: int) -> Iterator[list[dict[str, Any]]]:
        """All tasks with an annotation, in pages by id."""
        return self._pages(project, _filter("total_annotations", "greater", 0, "Number"))

    def skipped_tasks(self, project: int) -> Iterator[list[dict[str, Any]]]:
        """All tasks that somebody has skipped, in pages by id."""
        return self._pages(project, _filter("cancelled_annotations", "greater", 0, "Number"))

    def _pages(
        self, project: int, *filters: Mapping[str, Any], after: int = 0, **params: Any
    ) -> Iterator[list[dict[str, Any]]]:
        left = True
        while left:
            page, total = self._tasks(project, [*filters, _filter("id", "greater", after, "Number")], **params)
            left = 0 < len(page) < total  # not by our PAGE: an administrator may allow less
            if page:
                yield page
                after = page[-1]["id"]

    def _tasks(
        self, project: int, filters: Sequence[Mapping[str, Any]], **params: Any
    ) -> tuple[list[dict[str, Any]], int]:
        """The first page by id, and how many there are on all pages."""
        query = {"filters": {"conjunction": "and", "items": filters}, "ordering": ["tasks:id"]}
        page = {"project": project, "page_size": PAGE, "page": 1, "resolve_uri": False, "query": json.dumps(query)}
        # Without `include` Label Studio works out every column of its table, and is half as fast as its own export.
        wanted = {"fields": "all", "include": ",".join(TASK_FIELDS), **params}
        return self._read(
            lambda raw: (_rows(raw["tasks"]), int(raw["total"])), "GET", "api/tasks", params={**page, **wanted}
        )

    def task(self, task_id: int) -> dict[str, Any]:
        """One task with its annotations."""
        return self._read(_task, "GET", f"api/tasks/{task_id}")

    def serve_task(self, task_id: int, served: bool) -> bool:
        """Have a task served again, or not any more; returns whether it is there."""
        try:
            self._call("PATCH", f"api/tasks/{task_id}", json={"is_labeled": not served})
        except StudioRefusedError as error:
            if error.code != 404:
                raise
            return False
        return True

    def served(self, project: int, task_id: int) -> Served | None:
        """How a task is served now; None when it is gone."""
        fields = "id,overlap,is_labeled,total_annotations"
        rows, _ = self._tasks(project, [_filter("id", "equal", task_id, "Number")], include=fields)
        found = [Served(int(row["overlap"]), int(row["total_annotations"]), bool(row["is_labeled"])) for row in rows]
        return found[0] if found else None

    def serve_to(self, task_id: int, people: int, finished: bool) -> bool:
        """Have so many people asked about a task, or nobody any more; returns whether it is there. Label Studio itself
        never asks anybody twice."""
        try:
            self._call("PATCH", f"api/tasks/{task_id}", json={"overlap": people, "is_labeled": finished})
        except StudioRefusedError as error:
            if error.code != 404:
                raise
            return False
        return True

    def last_change(self, project: int) -> str:
        """`updated_at` of the task that changed last; empty when there are no tasks."""
        query = json.dumps({"ordering": ["-tasks:updated_at"]})
        params = {"project": project, "page_size": 1, "page": 1, "fields": "task_only", "query": query}
        params["include"] = "updated_at"
        tasks = self._read(lambda raw: _rows(raw["tasks"]), "GET", "api/tasks", params=params)
        return str(tasks[0]["updated_at"]) if tasks else ""

    def task_ids(self, project: int, first: int = 0, last: int = LAST) -> set[int]:
        """Task ids from `first` to `last`. Of the whole project for repairs only."""
        up_to = _filter("id", "less_or_equal", last, "Number")
        pages = self._pages(project, up_to, after=first - 1, fields="task_only", include="id")
        return {task["id"] for page in pages for task in page}

    def model_versions(self, project: int) -> dict[str, int]:
        """How many predictions of each model version the project holds."""
        return self._read(
            lambda raw: {str(version): int(n) for version, n in raw.items()},
            "GET",
            f"api/projects/{project}/model-versions/",
        )

    def delete_model_version(self, project: int, version: str) -> None:
        """Delete all predictions of a model version, in one request. Of the one that the project follows, Label Studio
        would also forget that it does."""
        body = {"model_version": version}
        self._call("DELETE", f"api/projects/{project}/model-versions/", json=body)

    def our_predictions(self, project: int) -> list[Published]:
        """Every prediction in the project that this backend wrote."""
        return [p for p in self._predictions(project) if is_ours(p.version)]

    def predictions_of(self, project: int, version: str) -> list[Published]:
        """Every prediction of a model version."""
        return [p for p in self._predictions(project) if p.version == version]

    def _predictions(self, project: int) -> list[Published]:
        params = {"project": project}
        return self._read(lambda raw: [_published(p) for p in _rows(raw)], "GET", "api/predictions", params=params)

    def next_task(self, project: int) -> dict[str, Any] | None:
        """The task that Label Studio's queue serves the token's user next, locked for them; None when it is empty."""
        try:
            return self._read(_task, "GET", f"api/projects/{project}/next")
        except StudioRefusedError as error:
            if error.code == 404 and "no tasks" in str(error).lower():
                return None
            raise

    # Publishing

    def create_prediction(self, task_id: int, prediction: Mapping[str, Any]) -> int:
        """Write one prediction; returns its id. One at a time: a bulk import recounts the whole project."""
        body = {"task": task_id, **{key: prediction[key] for key in ("result", "score", "model_version")}}
        return self._read(_id, "POST", "api/predictions/", json=body)

    def update_prediction(self, prediction_id: int, result: Sequence[Mapping[str, Any]]) -> bool:
        """Have a prediction show something else, at its score and so in its place; returns False when it is gone."""
        return self._change_prediction(prediction_id, {"result": list(result)})

    def replace_prediction(self, prediction_id: int, prediction: Mapping[str, Any]) -> bool:
        """Have a prediction be that of another model version for the same task: one request, where to delete it and to
        create another are two. Returns False when it is gone."""
        return self._change_prediction(
            prediction_id, {key: prediction[key] for key in ("result", "score", "model_version")}
        )

    def _change_prediction(self, prediction_id: int, fields: Mapping[str, Any]) -> bool:
        try:
            self._read(_id, "PATCH", f"api/predictions/{prediction_id}/", json=fields)
        except StudioRefusedError as error:
            if error.code != 404:
                raise
            return False
        return True

    def delete_prediction(self, prediction_id: int) -> None:
        """Delete one prediction; one that is gone already is fine."""
        try:
            self._call("DELETE", f"api/predictions/{prediction_id}/")
        except StudioRefusedError as error:
            if error.code != 404:
                raise

    def set_model_version(self, project: int, version: str) -> None:
        """Say whose scores order the queue. Predictions of that version must exist, or it must be empty."""
        self.update_project(project, model_version=version)

    # Connecting

    def update_project(self, project: int, **fields: Any) -> None:
        """Set project fields. `show_collab_predictions=False` alone would also reset the model version."""
        # Without `include` the answer has counts, which cost Label Studio more the larger the project is.
        self._call("PATCH", f"api/projects/{project}", params={"include": "id"}, json=fields)

    def create_project(self, title: str, label_config: str) -> int:
        """Make a project; returns its id."""
        return self._read(_id, "POST", "api/projects", json={"title": title, "label_config": label_config})

    def projects(self) -> dict[int, str]:
        """Titles of all projects, by id."""
        return self._read(
            lambda raw: {int(p["id"]): p["title"] for p in raw["results"]},
            "GET",
            "api/projects",
            params={"page_size": 1000, "include": "id,title"},
        )

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> Counts:
        """Import tasks, with annotations where they carry some; returns how many of each were created.

        On SQLite, Label Studio creates the tasks without any of their annotations when something else writes at the
        wrong moment (`retry_database_locked` around `BaseTaskSerializerBulk.create`). Sent once only: after an error
        status or a lost connection the tasks may be there all the same.
        """
        return self._read(
            lambda raw: Counts(int(raw["task_count"]), int(raw["annotation_count"])),
            "POST",
            f"api/projects/{project}/import",
            json=list(tasks),
            request_options={"max_retries": 0},
        )

    def delete_tasks(self, project: int, task_ids: Sequence[int], annotations: int) -> None:
        """Delete those of these tasks that have exactly so many annotations, skips not counted, when it is done."""
        has_as_many = _filter("total_annotations", "equal", annotations, "Number")
        filters = {"conjunction": "and", "items": [has_as_many]}
        # An empty list would delete every task of the project: Label Studio takes it for no selection.
        for start in range(0, len(task_ids), PAGE):
            selected = {"all": False, "included": list(task_ids[start : start + PAGE])}
            body = {"selectedItems": selected, "filters": filters}
            self._call("POST", "api/dm/actions", params={"id": "delete_tasks", "project": project}, json=body)

    def annotate(self, task_id: int, result: Sequence[Mapping[str, Any]], lead_time_s: float = 0.0) -> int:
        """Submit an annotation as the token's user; returns its id."""
        body = {"result": list(result), "lead_time": lead_time_s, "was_cancelled": False}
        return self._read(_id, "POST", f"api/tasks/{task_id}/annotations/", json=body)

    def annotate_once(self, task_id: int, result: Sequence[Mapping[str, Any]], unique_id: str) -> None:
        """Submit an annotation as the token's user, as no person would: without a time. Asked for again, it is not made
        again."""
        body = {"result": list(result), "was_cancelled": False, "unique_id": unique_id}
        self._create_once(task_id, body)

    def delete_annotation(self, annotation: int) -> None:
        """Delete one annotation; one that is gone already is fine."""
        try:
            self._call("DELETE", f"api/annotations/{annotation}/")
        except StudioRefusedError as error:
            if error.code != 404:
                raise

    def add_label(self, task_id: int, result: Sequence[Mapping[str, Any]]) -> None:
        """Give a task the annotation that an import would have given it. Asked for again, it is not made again."""
        once = str(uuid5(NAMESPACE_URL, f"{self.url}/tasks/{task_id}/imported"))
        self._create_once(
            task_id, {"result": list(result), "ground_truth": True, "was_cancelled": False, "unique_id": once}
        )

    def _create_once(self, task_id: int, body: Mapping[str, Any]) -> None:
        try:
            self._call("POST", f"api/tasks/{task_id}/annotations/", json=body)
        except StudioRefusedError as error:
            if error.code != 409:
                raise

    def ml_backends(self, project: int) -> list[MLBackend]:
        """Registered backends. Label Studio calls each one's /health and /setup to answer this."""
        params = {"project": project}
        return self._read(lambda raw: [_ml_backend(m) for m in _rows(raw)], "GET", "api/ml", params=params)

    def add_ml_backend(self, project: int, url: str, title: str, user: str, password: str, extra: Any) -> None:
        """Register a backend. Label Studio calls it at once and makes a webhook for it."""
        self._call("POST", "api/ml", json=_backend_body(project, url, title, user, password, extra))

    def update_ml_backend(
        self, backend: int, project: int, url: str, title: str, user: str, password: str, extra: Any
    ) -> None:
        """Change a backend. All fields, always: a partial body makes Label Studio fail with 500."""
        self._call("PATCH", f"api/ml/{backend}", json=_backend_body(project, url, title, user, password, extra))

    def start_training(self, project: int) -> None:
        """Press the Start Training button of the project's backends."""
        for backend in self.ml_backends(project):
            self._call("POST", f"api/ml/{backend.id}/train", json={})

    def remove_ml_backend(self, backend: int) -> None:
        """Unregister a backend; its webhook stays and must be removed too."""
        self._call("DELETE", f"api/ml/{backend}")

    def webhooks(self, project: int) -> list[Webhook]:
        """Webhooks of the project."""
        params = {"project": project}
        return self._read(lambda raw: [_webhook(w) for w in _rows(raw)], "GET", "api/webhooks/", params=params)

    def put_webhook(self, project: int, url: str, headers: Mapping[str, str], webhook: int | None = None) -> None:
        """Make or correct a webhook. `actions` always goes along: a PATCH without it clears the list."""
        body = {
            "project": project,
            "url": url,
            "send_payload": True,
            "send_for_all_actions": False,
            "is_active": True,
            "headers": dict(headers),
            "actions": list(WEBHOOK_ACTIONS),
        }
        if webhook is None:
            self._call("POST", "api/webhooks/", json=body)
        else:
            self._call("PATCH", f"api/webhooks/{webhook}/", json=body)

    def remove_webhook(self, webhook: int) -> None:
        """Delete a webhook."""
        self._call("DELETE", f"api/webhooks/{webhook}/")


def newest(tasks: Sequence[Mapping[str, Any]], so_far: str) -> str:
    """The latest `updated_at` of these tasks and `so_far`."""
    return max([so_far, *(str(t["updated_at"]) for t in tasks)], key=moment)


def moment(text: str) -> datetime:
    """A time as Label Studio writes it; long ago for an empty one."""
    return datetime.fromisoformat((text or "1970-01-01T00:00:00Z").replace("Z", "+00:00"))


def iso(seconds: float) -> str:
    """A time in seconds since 1970 as Label Studio writes it."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"


def _filter(field: str, operator: str, value: Any, kind: str) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}


def _backend_body(project: int, url: str, title: str, user: str, password: str, extra: Any) -> dict[str, Any]:
    body = {"project": project, "url": url, "title": title, "is_interactive": False, "extra_params": extra}
    if not user:
        return {**body, "auth_method": "NONE"}  # an empty basic_auth_pass makes Label Studio fail with 500
    return {**body, "auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}


# Readers of what Label Studio answers: what they raise on something else, `LabelStudioClient` turns into a sentence.


def _rows(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise TypeError(f"a list is expected, not {type(raw).__name__}")
    return raw


def _id(raw: Any) -> int:
    return int(raw["id"])


def _task(raw: Any) -> dict[str, Any]:
    return {**raw, "id": _id(raw)}


def _project(raw: Any) -> Project:
    return Project(
        id=_id(raw),
        title=raw["title"] or "",
        label_config=raw["label_config"] or "",
        sampling=raw["sampling"] or "",
        model_version=raw["model_version"],
        show_predictions=bool(raw["show_collab_predictions"]),
        tasks=int(raw.get("task_number") or 0),
        annotations=int(raw.get("total_annotations_number") or 0),
        trains_in_request=bool(raw.get("min_annotations_to_start_training")),
        predicts_on_page_load=bool(raw.get("evaluate_predictions_automatically")),
        finished=int(raw.get("finished_task_number") or 0),
        people=int(raw.get("maximum_annotations") or 1),
    )


def _published(raw: Any) -> Published:
    score = raw["score"] if raw["score"] is not None else 0
    return Published(raw["id"], raw["task"], raw["model_version"], float(score), results.shown(raw["result"]))


def _ml_backend(raw: Any) -> MLBackend:
    return MLBackend(
        id=raw["id"],
        url=raw["url"],
        title=raw["title"] or "",
        model_version=raw["model_version"] or "",
        state=raw["readable_state"] or "",
        error=raw["error_message"] or "",
        extra_params=raw["extra_params"] or {},
        since=raw.get("created_at") or "",
    )


def _webhook(raw: Any) -> Webhook:
    return Webhook(
        id=raw["id"],
        url=raw["url"],
        active=bool(raw["is_active"]),
        all_actions=bool(raw["send_for_all_actions"]),
        with_payload=bool(raw["send_payload"]),
        actions=tuple(raw["actions"] or ()),
        headers=raw["headers"] or {},
    )


def _short(body: Any) -> str:
    if isinstance(body, dict):
        body = body.get("validation_errors") or body.get("detail") or body
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return text.strip().rstrip(".")[:300]
