"""Invitations: an owner asks, the mailed link makes the account."""

import asyncio
from datetime import timedelta

import pytest
from accounts.living import ANA, PASSWORD, Living, living

from mainstem.accounts import invitations
from mainstem.platform.clock import utc_now
from mainstem.platform.db import transaction
from mainstem.platform.tenants import create_tenant

PATH, ACCEPT = "/api/v1/invitations", "/api/auth/invitation"
BO = "bo@harbour.example"


async def owner(hub: Living, *, tenant_id: int = 1, email: str = ANA) -> str:
    await hub.user(email, role="owner", tenant_id=tenant_id)
    return await hub.sign_in(email)


async def test_from_invitation_to_account(dsn, tmp_path):
    async with living(dsn, tmp_path, environment="staging") as hub:
        token = await owner(hub)
        made = await hub.post(PATH, token, email="Bo@Harbour.example", role="viewer")
        assert made.status_code == 201
        assert (made.json()["email"], made.json()["role"]) == (BO, "viewer")
        assert made.json()["invited_by"].startswith("user:")
        [(receiver, subject, text)] = await hub.mails()
        assert (receiver, subject) == (BO, "You were invited to Default")
        secret = text.partition("#")[2].split()[0]
        assert (await hub.get(PATH, token)).json() == {"items": [made.json()], "total": 1}
        twice = await hub.post(PATH, token, email=BO)
        assert twice.status_code == 409
        joined = await hub.post(ACCEPT, token=secret, name="Bo", password=PASSWORD, role="owner")
        assert joined.status_code == 201
        user = joined.json()["user"]
        assert (user["email"], user["name"], user["role"], user["email_verified"]) == (BO, "Bo", "viewer", True)
        me = await hub.get("/api/v1/me", joined.json()["access_token"])
        assert me.json()["scopes"] == ["read"]
        assert (await hub.post(ACCEPT, token=secret, password=PASSWORD)).json()["code"] == "link_invalid"
        assert (await hub.get(PATH, token)).json()["total"] == 0
        assert (await hub.get(f"{PATH}?closed=true", token)).json()["items"][0]["accepted_at"] is not None
        assert (await hub.post(PATH, token, email=BO)).status_code == 409


async def test_of_many_acceptances_at_once_one_counts(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        token = await owner(hub)
        await hub.post(PATH, token, email=BO)
        secret = await hub.link()
        wishes = (hub.post(ACCEPT, token=secret, password=PASSWORD, name=str(number)) for number in range(5))
        answers = await asyncio.gather(*wishes)
        assert sorted(answer.status_code for answer in answers) == [201] + [400] * 4
        assert await hub.connection.fetchval("select count(*) from platform.users where email = $1", BO) == 1


async def test_resending_and_taking_back(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        token = await owner(hub)
        made = (await hub.post(PATH, token, email=BO)).json()
        first = await hub.link()
        again = await hub.post(f"{PATH}/{made['id']}/resend", token)
        assert again.json()["sent_at"] > made["sent_at"]
        second = await hub.link()
        assert (await hub.post(ACCEPT, token=first, password=PASSWORD)).status_code == 400
        assert (await hub.delete(f"{PATH}/{made['id']}", token)).status_code == 204
        assert (await hub.post(ACCEPT, token=second, password=PASSWORD)).status_code == 400
        for answer in (
            await hub.delete(f"{PATH}/{made['id']}", token),
            await hub.post(f"{PATH}/{made['id']}/resend", token),
            await hub.delete(f"{PATH}/99999999999999", token),
            await hub.post(f"{PATH}/-1/resend", token),
        ):
            assert answer.status_code == 404
        # whoever was taken back can be asked again
        assert (await hub.post(PATH, token, email=BO)).status_code == 201
        await hub.connection.execute("update platform.invitation set expires_at = now()")
        assert (await hub.post(ACCEPT, token=await hub.link(), password=PASSWORD)).status_code == 400
        assert await invitations.prune(hub.connection, utc_now() - timedelta(minutes=1)) == 0
        assert await invitations.prune(hub.connection, utc_now() + timedelta(minutes=1)) == 2


async def test_a_tenant_learns_nothing_of_another_ones_people(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        other = await create_tenant(hub.connection, "other")
        token = await owner(hub)
        theirs = await owner(hub, tenant_id=other.id, email=BO)
        asked = await hub.post(PATH, token, email=BO)
        assert asked.status_code == 201
        secret = await hub.link()
        taken = await hub.post(ACCEPT, token=secret, password=PASSWORD)
        assert (taken.status_code, taken.json()["detail"]) == (400, "Email already registered")
        # nothing was used up
        assert (await hub.get(PATH, token)).json()["total"] == 1
        assert (await hub.get(PATH, theirs)).json()["total"] == 0
        assert (await hub.delete(f"{PATH}/{asked.json()['id']}", theirs)).status_code == 404
        async with transaction(hub.hub.pool, tenant_id=other.id) as connection:
            assert await connection.fetchval("select count(*) from platform.invitation") == 0


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [({"sign_up": "closed"}, 403, "sign_up_closed"), ({"smtp_url": None}, 409, "mail_off")],
)
async def test_where_nobody_can_be_invited(dsn, tmp_path, settings, status, code):
    async with living(dsn, tmp_path, **settings) as hub:
        token = await owner(hub)
        answer = await hub.post(PATH, token, email=BO)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        if code == "sign_up_closed":
            late = await hub.post(ACCEPT, token="x", password=PASSWORD)
            assert late.json()["code"] == code


@pytest.mark.parametrize("role", ["member", "viewer", "guest"])
async def test_only_owners_invite(dsn, tmp_path, role):
    async with living(dsn, tmp_path) as hub:
        await hub.user(role=role)
        token = await hub.sign_in()
        answers = [
            await hub.get(PATH, token),
            await hub.post(PATH, token, email=BO, role="owner"),
            await hub.post(f"{PATH}/1/resend", token),
            await hub.delete(f"{PATH}/1", token),
        ]
        assert {answer.status_code for answer in answers} == {403}


async def test_a_form_makes_the_account_too(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        token = await owner(hub)
        await hub.post(PATH, token, email=BO)
        secret = await hub.link()
        page = await hub.client.post(ACCEPT, data={"token": secret, "name": "<i>Bo", "password": PASSWORD})
        assert (page.status_code, BO in page.text) == (201, True)
        assert (await hub.get("/api/auth/me", await hub.sign_in(BO))).json()["user"]["name"] == "<i>Bo"
