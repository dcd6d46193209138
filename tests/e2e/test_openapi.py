"""openapi.json is committed, complete and true."""

import json
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mainstem.api import create_api
from mainstem.front.openapi import PATHS
from mainstem.platform.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "openapi.json"


def test_the_committed_document_is_current():
    assert json.loads(DOCUMENT.read_text()) == json.loads(json.dumps(create_api(Settings(_env_file=None)).openapi()))


def test_the_hot_path_is_in_it():
    assert set(PATHS) | {"/t.js"} <= set(json.loads(DOCUMENT.read_text())["paths"])


def test_every_operation_is_named_and_tells_its_errors():
    for path, item in json.loads(DOCUMENT.read_text())["paths"].items():
        for method, operation in item.items():
            assert operation.get("operationId"), (method, path)
            assert operation.get("summary"), (method, path)


schema = schemathesis.openapi.from_dict(
    json.loads(DOCUMENT.read_text())
    if DOCUMENT.exists()
    else {"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": {}}
)


@pytest.mark.timeout(240)
@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_product_does_what_the_document_says(case, server, admin_key, revoked_key):
    # a call made up may revoke the key that it goes with, and all others would then be answered 401
    key = revoked_key if case.operation.path.startswith("/api/v1/keys") else admin_key
    answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {key}"})
    case.validate_response(
        answer,
        checks=(not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance),
    )


def test_the_second_good_answer_of_a_route_is_in_it(server):
    # not the key that the calls made up above go with: they may have revoked it
    key = server.key(scopes="admin")
    link = {"target_url": "https://example.com/", "slug": "told-twice"}
    for path, method, body, status in (
        ("/api/v1/links", "POST", link, 201),
        ("/api/v1/links", "POST", {**link, "find_if_exists": True}, 200),
        ("/api/v1/links/bulk", "POST", {"links": [link]}, 207),
        ("/api/v1/links/bulk", "PATCH", {"links": [{"id": 10**12}]}, 207),
        ("/api/v1/links/bulk/delete", "POST", {"ids": [10**12]}, 207),
    ):
        case = schema[path][method].Case(body=body, media_type="application/json")
        answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, (method, path, answer.text)
        case.validate_response(answer, checks=(status_code_conformance, response_schema_conformance))


def test_the_docs_page_shows_it(server):
    assert httpx.get(server.url + "/", follow_redirects=True).status_code == 200
    assert httpx.get(server.url + "/openapi.json").json()["info"]["title"] == "Mainstem"
