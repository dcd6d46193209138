"""Mailed links: confirming an e-mail, a new password; once each, for a time, and without telling who is there."""

import asyncio
import base64
import hashlib
import re

import httpx
import pytest
import structlog
from accounts.living import ANA, LINK, PASSWORD, living
from accounts.test_sessions import another, over

from mainstem.accounts import links
from mainstem.accounts.desk import MAILS_PER_ADDRESS
from mainstem.platform import users
from mainstem.platform.clock import utc_now
from mainstem.platform.mail import Mailer
from mainstem.platform.outbox import send_due
from mainstem.platform.text_box import TextBox

NEW = "another horse battery"
NOBODY = "nobody@harbour.example"
FORGOT, RESET = "/api/auth/forgot-password", "/api/auth/reset-password"
SEND, VERIFY = "/api/auth/verify-email/send", "/api/auth/verify-email"


def told(answer: httpx.Response) -> tuple[int, object, list[str]]:
    """Return all that a client sees of an answer, but request id and times."""
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    return answer.status_code, body, sorted(answer.headers)


async def test_a_forgotten_password(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user(verified=False)
        before = await hub.sign_in()
        elsewhere = another(hub)
        assert await elsewhere.by_token(before) is not None
        for _ in range(users.MOST_FAILURES):
            await hub.post("/api/auth/signin", email=ANA, password="no")
        assert (await hub.post(FORGOT, email=ANA.upper())).status_code == 202
        [(receiver, subject, text)] = await hub.mails()
        assert (receiver, subject) == (ANA, "Choose a new password")
        page, secret = LINK.search(text).groups()
        assert page == "http://localhost/api/auth/reset-password"
        weak = await hub.post(RESET, token=secret, password="short")
        assert weak.status_code == 422
        done = await hub.post(RESET, token=secret, password=NEW)
        assert (done.status_code, done.json()["success"]) == (200, True)
        await over(elsewhere, before)
        # the lock is off: whoever reads the mails is no guesser
        after = await hub.sign_in(password=NEW)
        assert (await hub.get("/api/auth/me", after)).json()["user"]["email_verified"] is True
        assert (await hub.post("/api/auth/signin", email=ANA, password=PASSWORD)).status_code == 401
        replayed = await hub.post(RESET, token=secret, password=PASSWORD)
        assert (replayed.status_code, replayed.json()["code"]) == (400, "link_invalid")
        assert [mail[1] for mail in await hub.mails()] == ["Your password was changed"]


async def test_an_email_is_confirmed_once(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.post("/api/auth/signup", email=ANA, password=PASSWORD)
        first = await hub.link()
        await hub.post(SEND, email=ANA)
        second = await hub.link()
        token = await hub.sign_in()
        assert (await hub.post(VERIFY, token=second)).status_code == 200
        assert (await hub.get("/api/auth/me", token)).json()["user"]["email_verified"] is True
        for used in (first, second):
            assert (await hub.post(VERIFY, token=used)).json()["code"] == "link_invalid"
        # nothing is left to confirm, which is nobody's business either
        assert (await hub.post(SEND, email=ANA)).status_code == 202
        assert await hub.mails() == []


@pytest.mark.parametrize("path", [FORGOT, SEND])
async def test_who_has_an_account_can_not_be_had_from_here(dsn, tmp_path, path):
    async with living(dsn, tmp_path) as hub:
        await hub.user(verified=False)
        gone = await hub.user("gone@harbour.example", verified=False)
        await users.set_disabled(hub.connection, gone.id, disabled=True)
        written = []
        for email in (ANA, NOBODY, "gone@harbour.example"):
            answers = [await hub.post(path, email=email) for _ in range(MAILS_PER_ADDRESS + 1)]
            written.append([told(answer)[::2] if answer.is_error else told(answer) for answer in answers])
            assert [answer.status_code for answer in answers] == [202] * MAILS_PER_ADDRESS + [429]
        assert written[0] == written[1] == written[2]
        # as many rows for a stranger, and no mail
        links_made = await hub.connection.fetchval("select count(*) from platform.account_link")
        assert links_made == 3 * MAILS_PER_ADDRESS
        assert {mail[0] for mail in await hub.mails()} == {ANA}
        assert (await hub.post(path, email="no address")).status_code == 422


async def test_an_address_asks_for_so_many_mails(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        answers = [await hub.post(FORGOT, email=f"n{number}@harbour.example") for number in range(21)]
        assert [answer.status_code for answer in answers] == [202] * 20 + [429]
        assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("purpose", ["reset", "verify"])
async def test_of_many_uses_at_once_one_counts(dsn, tmp_path, purpose):
    async with living(dsn, tmp_path) as hub:
        user = await hub.user(verified=False)
        made = await links.make(hub.connection, purpose, ANA, stranger="default")
        body = {"token": made.text} | ({"password": NEW} if purpose == "reset" else {})
        path = RESET if purpose == "reset" else VERIFY
        answers = await asyncio.gather(*(hub.post(path, **body) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
        used = "select count(*) from platform.account_link where used_at is not null and user_id = $1"
        assert await hub.connection.fetchval(used, user.id) == 1


async def test_links_that_open_nothing(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        user = await hub.user(verified=False)
        stranger = await links.make(hub.connection, "reset", NOBODY, stranger="default")
        verify = await links.make(hub.connection, "verify", ANA, stranger="default")
        late = await links.make(hub.connection, "reset", ANA, stranger="default")
        await hub.connection.execute("update platform.account_link set expires_at = now() where purpose = 'reset'")
        live = await links.make(hub.connection, "reset", ANA, stranger="default")
        for secret in (stranger.text, verify.text, late.text, live.text[:-1], "x", "\0", "ä"):
            answer = await hub.post(RESET, token=secret, password=NEW)
            assert (answer.status_code, answer.json()["code"]) == (400, "link_invalid")
        assert (await hub.post(VERIFY, token=live.text)).status_code == 400
        await users.set_disabled(hub.connection, user.id, disabled=True)
        assert (await hub.post(RESET, token=live.text, password=NEW)).status_code == 400
        await users.set_disabled(hub.connection, user.id, disabled=False)
        # the password that is changed meanwhile makes open links void
        token = await hub.sign_in()
        await hub.post("/api/v1/account/password", token, old_password=PASSWORD, new_password=NEW)
        assert (await hub.post(RESET, token=live.text, password=PASSWORD)).status_code == 400
        assert await links.prune(hub.connection, utc_now()) == 1


async def test_the_secret_is_in_no_row_and_no_log(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        with structlog.testing.capture_logs() as lines:
            await hub.post(FORGOT, email=ANA)
            row = await hub.connection.fetchrow("select * from platform.mail")
            assert (row["body"], row["sealed"] is not None) == ("", True)
            stored = "select string_agg(m::text || l::text, '') from platform.mail m, platform.account_link l"
            before = await hub.connection.fetchval(stored)
            secret = await hub.link()
            after = await hub.connection.fetchval(stored)
            assert await hub.connection.fetchval("select sealed from platform.mail") is None
            await hub.post(RESET, token=secret, password="x")
            await hub.post(RESET, token=secret, password=NEW)
        for text in (before, after, str(lines)):
            assert secret not in text
            assert secret.encode().hex() not in text


async def test_a_sealed_mail_of_another_key_fails_for_good(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        for box in (None, TextBox(bytes(32))):
            await hub.post(FORGOT, email=ANA)
            await send_due(hub.hub.worker_pool, Mailer(hub.hub.services.settings), box=box)
        rows = await hub.connection.fetch("select status, last_error, sealed from platform.mail")
        assert [tuple(row) for row in rows] == [("failed", "The text was sealed under another SECRET_KEY.", None)] * 2
        assert hub.box.mails == []


async def test_a_forged_host_gets_no_link(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        forged = await hub.client.post(FORGOT, json={"email": ANA}, headers={"host": "evil.example"})
        assert (forged.status_code, forged.json()["code"]) == (409, "mail_off")
    async with living(dsn, tmp_path, public_url="https://hub.example") as hub:
        await hub.client.post(FORGOT, json={"email": ANA}, headers={"host": "evil.example"})
        [(_, _, text)] = await hub.mails()
        assert "\nhttps://hub.example/api/auth/reset-password#" in text
        assert "evil" not in text


async def test_without_a_mail_server_it_says_so_to_everybody(dsn, tmp_path):
    async with living(dsn, tmp_path, smtp_url=None, mail_from=None) as hub:
        await hub.user()
        answers = [told(await hub.post(FORGOT, email=email)) for email in (ANA, NOBODY)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 409


def hash_of(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


async def test_the_pages_of_links(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user(verified=False)
        for path in (VERIFY, RESET, "/api/auth/invitation"):
            page = await hub.client.get(path)
            assert page.status_code == 200
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; ")
            for tag in ("style", "script"):
                assert hash_of(re.search(f"<{tag}>(.*?)</{tag}>", page.text)[1]) in policy
            assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
        made = await links.make(hub.connection, "reset", ANA, stranger="default")
        # what a mail program opens in advance uses nothing up
        await hub.client.get(RESET, params={"token": made.text})
        weak = await hub.client.post(RESET, data={"token": made.text, "password": "<b>"})
        assert weak.status_code == 422
        assert weak.headers["content-type"].startswith("text/html")
        assert "8 to 1,024 characters" in weak.text
        assert "<b>" not in weak.text
        assert made.text not in weak.text
        done = await hub.client.post(RESET, data={"token": made.text, "password": NEW})
        assert (done.status_code, "<form" in done.text) == (200, False)
        again = await hub.client.post(RESET, data={"token": made.text, "password": NEW})
        assert (again.status_code, "never was one" in again.text) == (400, True)
        await hub.sign_in(password=NEW)
        other = await hub.client.post(RESET, content=b"x", headers={"content-type": "text/plain"})
        assert other.status_code == 415
        large = await hub.client.post(RESET, data={"token": "x" * 20_000})
        assert large.status_code == 413
