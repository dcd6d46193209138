"""Owners and the people of their tenant."""

import asyncio
from uuid import uuid4

from accounts.living import ANA, living
from accounts.test_sessions import another, over

from mainstem.platform.tenants import create_tenant

BO = "bo@harbour.example"
PATH = "/api/v1/users"


async def patch(hub, token, user_id, **body):
    headers = {"Authorization": f"Bearer {token}"}
    return await hub.client.patch(f"{PATH}/{user_id}", json=body, headers=headers)


async def test_owners_see_and_change_people(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        other = await create_tenant(hub.connection, "other")
        stranger = await hub.user("c@harbour.example", role="owner", tenant_id=other.id)
        ana, bo = await hub.user(role="owner"), await hub.user(BO, verified=False)
        token, bos = await hub.sign_in(), await hub.sign_in(BO)
        listed = (await hub.get(PATH, token)).json()
        assert [(one["email"], one["role"], one["email_verified"]) for one in listed["items"]] == [
            (ANA, "owner", True),
            (BO, "member", False),
        ]
        lesser = await patch(hub, token, bo.id, role="guest")
        assert (lesser.status_code, lesser.json()["role"]) == (200, "guest")
        caller = await another(hub).by_token(bos)
        assert caller is not None
        assert caller.scopes == {"tasks"}
        elsewhere = another(hub)
        assert await elsewhere.by_token(bos) is not None
        out = await patch(hub, token, bo.id, disabled=True)
        assert out.json()["disabled_at"] is not None
        await over(elsewhere, bos)
        assert (await patch(hub, token, bo.id, disabled=False)).json()["disabled_at"] is None
        await hub.sign_in(BO)
        for user_id in (stranger.id, uuid4()):
            assert (await patch(hub, token, user_id, role="guest")).status_code == 404
        assert (await patch(hub, token, bo.id, role="king")).status_code == 422
        assert (await patch(hub, token, ana.id, role="member")).json()["code"] == "last_owner"
        assert (await patch(hub, token, ana.id, disabled=True)).json()["code"] == "last_owner"
        assert (await patch(hub, token, ana.id, role="owner")).status_code == 200
        assert (await hub.get(PATH, await hub.sign_in(BO))).status_code == 403


async def test_two_owners_who_demote_each_other_leave_one(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        ana, bo = await hub.user(role="owner"), await hub.user(BO, role="owner")
        token = await hub.sign_in()
        key = (await hub.post("/api/v1/keys", token, scopes=["admin"])).json()["key"]
        answers = await asyncio.gather(*(patch(hub, key, user.id, role="member") for user in (ana, bo)))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        owners = "select count(*) from platform.users where role = 'owner'"
        assert await hub.connection.fetchval(owners) == 1
