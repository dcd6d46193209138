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

from mainstem.app import create_api
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
def test_the_product_does_what_the_document_says(case, server, admin_key):
    answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {admin_key}"})
    case.validate_response(
        answer,
        checks=(not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance),
    )


def test_the_docs_page_shows_it(server):
    assert httpx.get(server.url + "/", follow_redirects=True).status_code == 200
    assert httpx.get(server.url + "/openapi.json").json()["info"]["title"] == "Mainstem"
