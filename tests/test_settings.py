"""The environment, read once: what is set, what is wrong, and what must not be shown."""

from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import ValidationError

from helpers.paths import ROOT
from nextlabel.errors import BadSettingError, RefusedConfigError
from nextlabel.learning.strategies import SERVABLE
from nextlabel.settings import (
    OWN_TYPES,
    ProjectSettings,
    Settings,
    for_project,
    is_possible,
    load_settings,
    settings_page,
)
from nextlabel.values.options import LATEST, NO_OPTIONS, OF_0_1_0, OWN, ProjectOptions

PAGE = ROOT / "docs" / "settings.md"
SECRET = "open-sesame"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refusal() -> str:
    with pytest.raises(BadSettingError) as refused:
        load_settings(env_file=None)
    return str(refused.value)


def test_without_an_environment_the_tutorials_settings_hold() -> None:
    settings = load_settings(env_file=None)
    assert str(settings.label_studio_url) == "http://localhost:8080/"
    assert (settings.base_model, settings.query_strategy) == ("google-bert/bert-base-cased", "margin")
    assert (settings.batch_size, settings.max_length) == (32, 128)
    assert (settings.fit_steps, settings.learning_rate) == ("auto", "auto")
    before = for_project(settings, NO_OPTIONS)
    assert (before.strategy, before.fit_steps, before.learning_rate, before.head) == ("entropy", 343, 2e-5, "off")
    assert (settings.label_studio_api_key.get_secret_value(), settings.basic_auth_user) == ("", "")


@pytest.mark.parametrize("name", ["fit_steps", "learning_rate"])
def test_auto_for_the_steps_or_the_rate_of_an_old_project_is_for_both_unless_somebody_chose_the_other(
    name: str,
) -> None:
    plain, chosen = load_settings(env_file=None), {"fit_steps": 100, "learning_rate": 1e-3}
    del chosen[name]
    own = for_project(plain, ProjectOptions(own={name: "auto"}))
    assert (own.fit_steps, own.learning_rate) == ("auto", "auto")
    assert {own.sources[both] for both in ("fit_steps", "learning_rate")} == {"project"}, "as it is printed"
    own = for_project(plain, ProjectOptions(own={name: "auto", **chosen}))
    assert {getattr(own, other) for other in chosen} == {*chosen.values()}
    own = for_project(plain, ProjectOptions(own=chosen))
    assert getattr(own, name) in (343, 2e-5), "nobody chose auto"


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIT_EVERY", "8")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("MODEL_DIR", "/srv/nextlabel")
    monkeypatch.setenv("DEVICE", "cuda:1")
    settings = load_settings(env_file=None)
    assert (settings.fit_every, settings.log_level) == (8, "DEBUG")
    assert (settings.model_dir, settings.device) == (Path("/srv/nextlabel"), "cuda:1")


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("# ours\nFIT_EVERY=7\nWINDOW='9'\nLABEL_STUDIO_HOST=not ours\nexport SEED=3\n")
    monkeypatch.setenv("FIT_EVERY", "8")
    settings = load_settings(str(file))
    assert (settings.fit_every, settings.window, settings.seed) == (8, 9, 3)
    assert load_settings(str(tmp_path / "absent")).window == 128


def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIT_EVERY", "")
    assert load_settings(env_file=None).fit_every == 64


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(env_file=None).fit_every = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "expectation"),
    [
        ("FIT_EVERY", "soon", "a whole number of new labels, at least 1"),
        ("FIT_EVERY", "0", "at least 1"),
        ("FIT_MAX_WAIT_S", "nan", "seconds, more than 0"),
        ("RECONCILE_S", "-1", "seconds, more than 0"),
        ("LEARNING_RATE", "2", "between 0 and 1"),
        ("MAX_LENGTH", "4", "from 8 to 8192"),
        ("PROMOTE_MARGIN", "1.1", "from 0 to 1"),
        ("PROMOTE_MARGIN", "nan", "from 0 to 1"),
        ("PORT", "65536", "from 1 to 65535"),
        ("LABEL_STUDIO_URL", "localhost:8080", "an address such as http"),
        ("QUERY_STRATEGY", "badge", "one of entropy, margin, least_confidence, random, power_entropy, power_margin, "),
        ("QUERY_STRATEGY", "bald", "bald and power_bald need dropout passes"),
        ("QUERY_STRATEGY", "power_bald", "bald and power_bald need dropout passes"),
        ("DEVICE", "gpu", "auto, cpu, cuda, cuda:N or mps"),
        ("PRECISION", "fp16", "auto, fp32 or bf16"),
        ("QUEUE_NAME", "ours-2", "letters, digits and underscores"),
        ("WORKERS", "0", "a whole number of trainers from 1 to 64"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
    ],
)
def test_a_bad_value_is_refused_with_key_value_and_expectation(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, expectation: str
) -> None:
    monkeypatch.setenv(key, value)
    message = refusal()
    assert message.startswith(f"{key}={value!r} is not possible: expected ")
    assert expectation in message


def test_the_advice_webhook_is_an_address_and_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVICE_WEBHOOK", f"https://10.0.0.1/hooks/{SECRET}")
    settings = load_settings(env_file=None)
    assert settings.advice_webhook.get_secret_value() == f"https://10.0.0.1/hooks/{SECRET}"
    assert SECRET not in "\n".join(settings.lines())
    monkeypatch.setenv("ADVICE_WEBHOOK", f"chat/{SECRET}")
    assert refusal().startswith("ADVICE_WEBHOOK=******** is not possible: expected an address such as https://")


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:secret@queue.example.com:6380/2",
        "rediss://me:s%40cret@10.0.0.1:6380/0?ssl_cert_reqs=required",
        "redis://[::1]:6379/",
        "postgresql://me:secret@localhost:5432/nextlabel",
        "postgresql:///nextlabel?host=/var/run/postgresql",
    ],
)
def test_a_queue_may_lie_on_redis_or_postgresql(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("QUEUE_URL", url)
    settings = load_settings(env_file=None)
    assert settings.queue_url.get_secret_value() == url
    assert "QUEUE_URL=********" in settings.lines()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://me:{}@localhost/nextlabel", "'mysql://********'"),
        ("postgresql+psycopg://me:{}@localhost/nextlabel", "'postgresql+psycopg://********'"),
        ("redis://:{}@localhost/nextlabel", "'redis://********'"),
        ("redis://:{}@localhost:many/0", "'redis://********'"),
        ("redis://:{}/#@localhost/0", "'redis://********'"),
        ("postgresql://me:{}/#@localhost/nextlabel", "'postgresql://********'"),
        ("localhost:6379 {}", "********"),
    ],
)
def test_another_queue_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str, shown: str) -> None:
    monkeypatch.setenv("QUEUE_URL", url.format(SECRET))
    message = refusal()
    assert message.startswith(f"QUEUE_URL={shown} is not possible: expected redis://HOST:PORT/NUMBER, ")
    assert "empty for a file in MODEL_DIR" in message
    assert SECRET not in message


def test_who_asks_for_credentials_is_open_to_others_and_who_does_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(env_file=None).host == "127.0.0.1"
    monkeypatch.setenv("BASIC_AUTH_USER", "label-studio")
    monkeypatch.setenv("BASIC_AUTH_PASS", SECRET)
    assert load_settings(env_file=None).host == "0.0.0.0"
    monkeypatch.setenv("HOST", "10.0.0.1")
    assert load_settings(env_file=None).host == "10.0.0.1"


def test_without_credentials_only_who_says_so_is_open_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    assert load_settings(env_file=None).host == "0.0.0.0"


def with_credentials(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    for key, value in {"BASIC_AUTH_USER": "me", "BASIC_AUTH_PASS": SECRET, "WEBHOOK_SECRET": secret}.items():
        monkeypatch.setenv(key, value)


@pytest.mark.parametrize("secret", ["", "0123456789abcdef", "!~" * 100])
def test_a_secret_for_the_webhook_is_accepted(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    with_credentials(monkeypatch, secret)
    settings = load_settings(env_file=None)
    assert settings.webhook_secret.get_secret_value() == secret
    assert f"WEBHOOK_SECRET={'********' if secret else '(not set)'}" in settings.lines()


@pytest.mark.parametrize(
    "secret", ["too short", "0123456789 abcdef", "0123456789abcdéf", "0123456789abcdef\n", "a" * 201]
)
def test_a_secret_that_fits_no_header_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    with_credentials(monkeypatch, secret)
    assert refusal() == (
        "WEBHOOK_SECRET=******** is not possible: expected 16 to 200 letters, digits and other printable ASCII "
        "characters without spaces."
    )


def test_a_secret_alone_is_refused_as_start_training_would_not_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", "0123456789abcdef")
    assert refusal() == (
        "WEBHOOK_SECRET needs BASIC_AUTH_USER and BASIC_AUTH_PASS too: Label Studio's Start Training comes to /webhook "
        "with those alone."
    )


@pytest.mark.parametrize("name", SERVABLE)
def test_every_servable_strategy_is_accepted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("QUERY_STRATEGY", name)
    assert load_settings(env_file=None).query_strategy == name


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("FIT_EVERY", "WINDOW", "SEED"):
        monkeypatch.setenv(key, "x")
    assert [line.partition("=")[0] for line in refusal().splitlines()] == ["FIT_EVERY", "WINDOW", "SEED"]


@pytest.mark.parametrize("key", ["BASIC_AUTH_USER", "BASIC_AUTH_PASS"])
def test_half_of_basic_authentication_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(key, SECRET)
    message = refusal()
    assert "set both, or neither" in message
    assert SECRET not in message


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("LABEL_STUDIO_API_KEY", "BASIC_AUTH_USER", "BASIC_AUTH_PASS"):
        monkeypatch.setenv(key, "label-studio" if key.endswith("USER") else SECRET)
    settings = load_settings(env_file=None)
    lines = settings.lines()
    assert settings.basic_auth_pass.get_secret_value() == SECRET
    assert SECRET not in "\n".join([*lines, repr(settings), str(settings)])
    assert {"LABEL_STUDIO_API_KEY=********", "BASIC_AUTH_PASS=********", "BASIC_AUTH_USER=label-studio"} <= set(lines)


def test_every_setting_has_its_line() -> None:
    lines = load_settings(env_file=None).lines()
    assert [line.partition("=")[0].lower() for line in lines] == list(Settings.model_fields)
    assert {"FIT_EVERY=64", "LABEL_STUDIO_API_KEY=(not set)"} <= set(lines)


def test_every_setting_says_what_it_expects() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_setting_says_what_is_expected_and_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not (field.description and field.title)] == []


def test_the_page_of_settings_is_made_from_the_fields() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page()


# What a project decides for itself


def test_a_project_has_the_settings_of_all_until_it_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIT_EVERY", "32")
    monkeypatch.setenv("WINDOW", "256")
    options = ProjectOptions(own={"window": 64, "strategy": "margin", "fit_max_wait_s": "90"})
    found = for_project(load_settings(env_file=None), options)
    assert (found.strategy, found.window, found.fit_every) == ("margin", 64, 32)
    assert (found.fit_max_wait_s, found.fit_steps) == (90.0, 343)
    assert found.lines() == [
        "strategy=margin (project)",
        "window=64 (project)",
        "fit_every=32 (environment)",
        "fit_max_wait_s=90.0 (project)",
        "fit_steps=343 (built in)",
        "learning_rate=2e-05 (built in)",
        "fit_schedule=off (built in)",
        "head=off (built in)",
        "start_order=off (built in)",
        "near_copies=serve (built in)",
        "control_share=0.0 (built in)",
        "after_certificate=hold (built in)",
    ]


def test_a_project_keeps_what_was_built_in_when_it_was_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    today = ProjectOptions(defaults=LATEST)
    assert for_project(load_settings(env_file=None), today).lines() == [
        "strategy=margin (built in)",
        "window=128 (built in)",
        "fit_every=64 (built in)",
        "fit_max_wait_s=600.0 (built in)",
        "fit_steps=auto (built in)",
        "learning_rate=auto (built in)",
        "fit_schedule=8,16,32,64 (built in)",
        "head=on (built in)",
        "start_order=typiclust (built in)",
        "near_copies=hold (built in)",
        "control_share=0.1 (built in)",
        "after_certificate=hold (built in)",
    ]
    monkeypatch.setenv("HEAD", "off")
    assert for_project(load_settings(env_file=None), today).head == "off"
    assert ProjectOptions.of(today.put_into({})) == today
    assert ProjectOptions.of({}).defaults == OF_0_1_0
    with pytest.raises(RefusedConfigError, match="defaults=7"):
        ProjectOptions.of({"nextlabel": {"defaults": 7}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", 0), ("window", "many"), ("window", True), ("window", 2.5), ("window", [64]), ("fit_every", -1),
        ("fit_max_wait_s", "nan"), ("fit_max_wait_s", 0), ("fit_max_wait_s", 1e9), ("fit_steps", "1e3"),
        ("strategy", "bald"), ("strategy", "badge"), ("strategy", 7), ("head", "maybe"), ("head", True),
        ("start_order", "on"), ("near_copies", "off"), ("fit_schedule", "8;16"), ("fit_schedule", "0"),
        ("fit_schedule", 8), ("fit_steps", "some"), ("learning_rate", 2), ("learning_rate", "fast"),
    ],
)  # fmt: skip
def test_a_projects_own_value_has_the_bounds_and_the_words_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    assert not is_possible(name, value)
    with pytest.raises(RefusedConfigError) as refused:
        for_project(load_settings(env_file=None), ProjectOptions(own={name: value}))
    key = {"strategy": "QUERY_STRATEGY"}.get(name, name.upper())
    monkeypatch.setenv(key, "no such value")
    _, expected = refusal().split(": expected ")
    assert f"nextlabel.{name}={value!r}; expected {expected.rstrip('.')}." in str(refused.value)


def test_every_setting_that_a_project_may_have_of_its_own_is_checked_and_shown() -> None:
    shown = for_project(load_settings(env_file=None), NO_OPTIONS)
    assert tuple(OWN_TYPES) == tuple(shown.sources) == OWN
    assert set(OWN) == {field.name for field in fields(ProjectSettings)} - {"sources"}
