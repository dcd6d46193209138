"""Sign-up, sign-in and sign-out of the contract."""

from http import HTTPStatus

import httpx
import pytest
from accounts.living import ANA, PASSWORD, Living, bearer, living

from mainstem.platform.users import MOST_FAILURES

BO = "bo@harbour.example"


async def test_the_contract_from_sign_up_to_sign_out(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        made = await hub.post("/api/auth/signup", email=" Ana@Harbour.example ", password=PASSWORD, name="Ana")
        assert made.status_code == 201
        body = made.json()
        assert made.headers["cache-control"] == "no-store"
        assert (body["token_type"], body["expires_in"]) == ("bearer", 86_400)
        user = body["user"]
        assert (user["email"], user["name"], user["role"], user["tenant"]) == (ANA, "Ana", "guest", "default")
        assert user["email_verified"] is False
        token = body["access_token"]
        for path in ("/api/auth/session", "/api/auth/me"):
            who = (await hub.get(path, token)).json()
            assert (who["access_token"], who["token_type"], who["user"]) == (token, "bearer", user)
            assert who["session"]["current"] is True
        # a guest has tasks and chats, and no business data
        assert (await hub.get("/api/v1/me", token)).json()["scopes"] == ["tasks"]
        assert (await hub.get("/api/v1/site/overview", token)).status_code == 403
        again = await hub.post("/api/auth/signup", email=ANA.upper(), password=PASSWORD)
        assert (again.status_code, again.json()["detail"]) == (400, "Email already registered")
        other = await hub.sign_in()
        out = await hub.post("/api/auth/signout", token)
        assert (out.status_code, out.json()["success"]) == (200, True)
        assert (await hub.get("/api/auth/me", token)).status_code == 401
        assert (await hub.post("/api/auth/signout", token)).status_code == 401
        assert (await hub.get("/api/auth/me", other)).status_code == 200
        assert [mail[:2] for mail in await hub.mails()] == [(ANA, "Confirm your e-mail address")]


async def test_wrong_passwords_are_401_whatever_they_look_like(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        wrong = ["", "x", PASSWORD.upper(), "\0", "ä" * 2_000]
        answers = [await hub.post("/api/auth/signin", email=ANA, password=one) for one in wrong]
        answers += [await hub.post("/api/auth/signin", email=one, password=PASSWORD) for one in ("", BO, "no address")]
        assert {answer.status_code for answer in answers} == {401}
        assert {answer.json()["detail"] for answer in answers} == {"Wrong e-mail or password."}
        missing = await hub.post("/api/auth/signin", email=ANA)
        assert missing.status_code == 422
        # JSON can carry half a character, which is no text
        half = rb'{"email": "ana@harbour.example", "password": "\ud800"}'
        assert (await raw(hub, "/api/auth/signin", half)).status_code == 401


async def raw(hub: Living, path: str, sent: bytes, token: str | None = None) -> httpx.Response:
    headers = {"content-type": "application/json", **bearer(token)}
    return await hub.client.post(path, content=sent, headers=headers)


async def test_half_a_character_is_no_server_error(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user(role="owner")
        token = await hub.sign_in()
        half = rb"\ud800"
        for path, sent in (
            ("/api/auth/signup", b'{"email": "HALF@x.example", "password": "correct horse"}'),
            ("/api/auth/signup", b'{"email": "a@x.example", "password": "correct HALF horse"}'),
            ("/api/auth/signup", b'{"email": "a@x.example", "password": "correct horse", "name": "HALF"}'),
            ("/api/auth/signin", b'{"email": "HALF@x.example", "password": "correct horse"}'),
            ("/api/auth/forgot-password", b'{"email": "HALF@x.example"}'),
            ("/api/auth/reset-password", b'{"token": "HALF", "password": "correct horse"}'),
            ("/api/v1/account/keys", b'{"label": "HALF"}'),
            ("/api/v1/account/keys", b'{"scopes": ["HALF"]}'),
            ("/api/v1/account/password", b'{"old_password": "HALF", "new_password": "correct HALF horse"}'),
            ("/api/v1/invitations", b'{"email": "HALF@x.example"}'),
        ):
            answer = await raw(hub, path, sent.replace(b"HALF", half), token)
            assert answer.status_code in {400, 422}, (path, sent, answer.text)


async def test_ten_failures_lock_known_and_unknown_alike(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        for email in (ANA, BO):
            for _ in range(MOST_FAILURES):
                assert (await hub.post("/api/auth/signin", email=email, password="no")).status_code == 401
            locked = await hub.post("/api/auth/signin", email=email, password=PASSWORD)
            assert locked.status_code == HTTPStatus.TOO_MANY_REQUESTS
            assert 0 < int(locked.headers["retry-after"]) <= 900


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"sign_up": "open"}, 201),
        ({"sign_up": "invited"}, 403),
        ({"sign_up": "closed"}, 403),
        ({"environment": "staging"}, 403),
        ({"environment": "production", "secret_key": "k3-Vx9_quiet-harbour-lantern-Zp7w"}, 403),
    ],
)
async def test_who_may_sign_up(dsn, tmp_path, settings, status):
    async with living(dsn, tmp_path, **settings) as hub:
        await hub.user()
        answer = await hub.post("/api/auth/signup", email=BO, password=PASSWORD)
        assert answer.status_code == status
        if status == HTTPStatus.FORBIDDEN:
            assert answer.json()["code"] == "sign_up_closed"
            # nothing of who is there can be had from a closed door
            taken = await hub.post("/api/auth/signup", email=ANA, password=PASSWORD)
            assert taken.json()["detail"] == answer.json()["detail"]


async def test_what_no_account_is_made_of(dsn, tmp_path):
    async with living(dsn, tmp_path, sign_up_role="viewer", smtp_url=None) as hub:
        for wish in (
            {"email": "no address", "password": PASSWORD},
            {"email": "a,b@harbour.example", "password": PASSWORD},
            {"email": "<a@harbour.example", "password": PASSWORD},
            {"email": BO, "password": "short"},
            {"email": BO, "password": "x" * 2_000},
            {"email": BO, "password": PASSWORD, "name": "\0"},
            {"email": BO, "password": PASSWORD, "name": "x" * 201},
            {"email": BO},
        ):
            answer = await hub.post("/api/auth/signup", **wish)
            assert answer.status_code == 422, wish
            assert "xxxxxxxx" not in answer.text
        assert await hub.connection.fetchval("select count(*) from platform.users") == 0
        made = await hub.post("/api/auth/signup", email=BO, password=PASSWORD, role="owner")
        assert made.json()["user"]["role"] == "viewer"


async def test_a_key_stands_for_nobody_and_a_persons_key_for_that_person(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        token = await hub.sign_in()
        made = (await hub.post("/api/v1/account/keys", token, label="mcp")).json()
        who = (await hub.get("/api/auth/me", made["key"])).json()
        assert (who["user"]["email"], who["session"]) == (ANA, None)
        out = await hub.post("/api/auth/signout", made["key"])
        assert out.json()["message"] == "This credential has no session here."
        anyone = await hub.client.get("/api/auth/me", headers=bearer("ms_live_nonsense"))
        assert anyone.status_code == 401
