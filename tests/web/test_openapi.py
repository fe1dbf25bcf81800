"""The OpenAPI document says what the service does, and the service does what the document says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode, checks
from schemathesis.specs.openapi import checks as of_openapi

from helpers.served import RECORDED, client_of, fit_version
from nextlabel import __version__
from nextlabel.labelstudio.registration import SECRET_HEADER
from nextlabel.web.pages import OPENAPI
from nextlabel.web.protocol import MAX_TASKS
from nextlabel.web.services import MAX_PREDICTIONS

DOCUMENT = json.loads(OPENAPI.read_text("utf-8"))
OPERATIONS = [(path, method.upper()) for path, operations in DOCUMENT["paths"].items() for method in operations]
TRIED = [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS] + [
    (path, method, GenerationMode.NEGATIVE)
    for path, method in OPERATIONS
    if {"parameters", "requestBody"} & set(DOCUMENT["paths"][path][method.lower()])
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> FlaskClient:
    """A client of a backend in which project 1 has a version."""
    model_dir = tmp_path_factory.mktemp("described")
    fit_version(model_dir, tiny, ("pos", "neg"), ("good", "bad"), 32)
    return client_of(model_dir)


@pytest.fixture(scope="module")
def described(client: FlaskClient) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", client.application)


# All but those that want every body that fits to be taken, and no other one: the text of a labelling config is beyond
# a schema, and /webhook answers whatever is sent.
PLAIN = {"Accept-Encoding": "identity"}  # the client of these checks unpacks nothing
CHECKS = [
    checks.not_a_server_error,
    of_openapi.status_code_conformance,
    of_openapi.content_type_conformance,
    of_openapi.response_headers_conformance,
    of_openapi.response_schema_conformance,
    of_openapi.unsupported_method,
    of_openapi.allow_header_conformance,
]


@pytest.mark.parametrize(("path", "method", "mode"), TRIED)
def test_what_the_document_allows_and_what_it_does_not_is_answered_as_it_says(
    path: str, method: str, mode: GenerationMode, described: Any
) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(described[path][method].as_strategy(generation_mode=mode))
    def send(case: Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS, headers=PLAIN)

    send()


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["what"])
def test_what_label_studio_sends_is_in_the_document(recorded: dict[str, Any], described: Any) -> None:
    operation = described[recorded["path"]]["POST"]
    case = operation.Case(body=recorded["body"], media_type="application/json")
    assert case.call_and_validate(checks=CHECKS).status_code in (200, 201)


def test_the_document_is_valid_and_names_every_route_and_no_other(client: FlaskClient, described: Any) -> None:
    described.validate()
    rules = client.application.url_map.iter_rules()
    served = {(re.sub(r"<\w+:(\w+)>", r"{\1}", r.rule), method) for r in rules for method in r.methods or set()}
    assert set(OPERATIONS) == {(rule, method) for rule, method in served if method != "HEAD"}


def test_the_document_names_version_limits_and_header_as_they_are(client: FlaskClient) -> None:
    assert client.get("/openapi.json").get_json() == DOCUMENT
    assert DOCUMENT["info"]["version"] == __version__
    assert DOCUMENT["components"]["securitySchemes"]["secret"]["name"] == SECRET_HEADER
    predict = DOCUMENT["paths"]["/predict"]["post"]
    limits = f"At most {MAX_TASKS} tasks in one request, and {MAX_PREDICTIONS} requests at a time"
    assert limits in predict["description"]
    assert (
        predict["requestBody"]["content"]["application/json"]["schema"]["properties"]["tasks"]["maxItems"] == MAX_TASKS
    )
