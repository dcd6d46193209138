"""Everything going wrong at once: what the log says was carried out is what was carried out."""

import asyncio
import json
import signal
from collections import Counter

import httpx
from sandboxing import cart, running

from mainstem.sandbox.faults import Kind

SUBMIT = "/specialresources/cart/submit"
KINDS = [kind for kind in Kind if not kind.of_webhooks]


async def test_orders_are_the_submits_that_were_handled():
    with running("--json", "--seed", "5") as process:
        settings = json.loads(process.stdout.readline())
        url = settings["SANDBOX_URL"]
        authentication = f"{settings['REVEL_API_KEY']}:{settings['REVEL_API_SECRET']}"
        limits = httpx.Limits(max_connections=50)
        async with (
            httpx.AsyncClient(base_url=f"{url}/admin", timeout=30) as admin,
            httpx.AsyncClient(headers={"API-AUTHENTICATION": authentication}, timeout=15, limits=limits) as client,
        ):
            booked = (await admin.post("/events", json={})).json()
            faults = [
                {"kind": kind, "route": SUBMIT, "probability": 0.05, "seconds": 0.02, "service": "revel"}
                for kind in KINDS
            ]
            assert (await admin.post("/faults", json={"faults": faults})).status_code == 201

            async def submit() -> str:
                try:
                    answer = await client.post(f"{settings['REVEL_BASE_URL']}{SUBMIT}", json=cart(booked))
                    return "made" if answer.json().get("orderId") else str(answer.status_code)
                except httpx.HTTPError:
                    return "lost"
                except ValueError:
                    return "no json"

            ends = Counter(await asyncio.gather(*(submit() for _ in range(400))))
            calls = (await admin.get("/requests", params={"path": SUBMIT})).json()
            orders = (await admin.get("/orders")).json()["orders"]
            made = Counter(fault["kind"] for fault in (await admin.get("/faults")).json()["faults"] if fault["made"])

        assert calls["count"] == 400
        assert len(orders) == sum(call["handled"] for call in calls["requests"])
        told = {call["answer"]["orderId"] for call in calls["requests"] if call["handled"]}
        assert told == {order["id"] for order in orders}
        assert set(made) == set(KINDS)
        # what was answered well is part of what was made, and the rest of that nobody was told of
        assert 0 < ends["made"] < len(orders) < 400
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0
