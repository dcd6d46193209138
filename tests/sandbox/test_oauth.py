"""Tripleseat's OAuth 2.0: three grants, two addresses, and pages instead of JSON for whoever may not call."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sandboxing import Town

BACK = "https://hub.example/callback"


async def code(box: Town, **changes: str) -> httpx.Response:
    given = {
        "response_type": "code",
        "client_id": box.settings["TRIPLESEAT_OAUTH_CLIENT_ID"],
        "redirect_uri": BACK,
        "scope": "events:read",
        "state": "xyz",
        **changes,
    }
    async with httpx.AsyncClient() as client:
        return await client.get(f"{box.url}/tripleseat/oauth2/authorize", params=given)


def read_code(answer: httpx.Response) -> str:
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


async def read_event(box: Town, access: str) -> httpx.Response:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {access}"}) as client:
        return await client.get(f"{box.url}/tripleseat/v1/events/search.json")


async def test_client_credentials_give_a_token_without_a_refresh_token(box: Town):
    granted = (await box.token()).json()
    assert granted["token_type"] == "Bearer"
    assert granted["expires_in"] == 7200
    assert "events:read" in granted["scope"].split()
    assert isinstance(granted["created_at"], int)
    assert "refresh_token" not in granted
    assert (await read_event(box, granted["access_token"])).status_code == 200


async def test_the_other_address_of_tokens_works_too(box: Town):
    client_id, secret = (box.settings[f"TRIPLESEAT_OAUTH_CLIENT_{name}"] for name in ("ID", "SECRET"))
    async with httpx.AsyncClient(auth=(client_id, secret)) as client:
        form = {"grant_type": "client_credentials"}
        answer = await client.post(f"{box.url}/tripleseat/oauth/token", data=form)
    assert answer.status_code == 200
    assert (await read_event(box, answer.json()["access_token"])).status_code == 200


async def test_a_code_brings_the_state_back_and_serves_once(box: Town):
    agreed = await code(box)
    assert agreed.status_code == 302
    query = parse_qs(urlsplit(agreed.headers["location"]).query)
    assert agreed.headers["location"].startswith(BACK)
    assert query["state"] == ["xyz"]
    form = {"grant_type": "authorization_code", "code": query["code"][0], "redirect_uri": BACK}

    granted = await box.token(**form)
    assert granted.json()["scope"] == "events:read"
    assert (await read_event(box, granted.json()["access_token"])).status_code == 200
    again = await box.token(**form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_a_code_is_for_its_redirect_uri_alone(box: Town):
    given = read_code(await code(box))
    answer = await box.token(grant_type="authorization_code", code=given, redirect_uri="https://evil.example/")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("changes", [{"client_id": "who"}, {"redirect_uri": ""}, {"response_type": "token"}])
async def test_a_wrong_request_for_a_code_is_told_on_a_page(box: Town, changes: dict[str, str]):
    answer = await code(box, **changes)
    assert answer.status_code in {400, 401}
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_refresh_token_serves_once_and_brings_the_next(box: Town):
    form = {"grant_type": "authorization_code", "code": read_code(await code(box)), "redirect_uri": BACK}
    first = (await box.token(**form)).json()
    second = (await box.token(grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
    assert second["access_token"] != first["access_token"]
    assert second["scope"] == first["scope"]
    again = await box.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    third = await box.token(grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert third.status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "everything:write"}, 400, "invalid_scope"),
        ({"grant_type": "refresh_token"}, 400, "invalid_grant"),
    ],
)
async def test_a_refused_grant_says_why_in_oauths_words(box: Town, form: dict[str, str], status: int, error: str):
    answer = await box.token(**form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic abc", "Bearer"])
async def test_who_may_not_call_gets_a_page(box: Town, authorization: str | None):
    headers = {} if authorization is None else {"Authorization": authorization}
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.get(f"{box.url}/tripleseat/v1/events/search.json")
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "<html>" in answer.text


async def test_a_token_ends_with_its_lifetime_or_when_it_is_revoked(box: Town):
    await box.config(token_lifetime_s=0)
    dead = (await box.token()).json()["access_token"]
    assert (await read_event(box, dead)).status_code == 401
    await box.config(token_lifetime_s=60)
    living = (await box.token()).json()["access_token"]
    assert (await read_event(box, living)).status_code == 200
    await box.admin.delete("/tokens")
    assert (await read_event(box, living)).status_code == 401


async def test_a_token_opens_what_its_scopes_say(box: Town):
    access = (await box.token(scope="bookings:read")).json()["access_token"]
    answer = await read_event(box, access)
    assert (answer.status_code, answer.json()["scope"]) == (403, "events:read")
