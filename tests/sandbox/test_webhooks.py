"""Webhooks of Tripleseat: what is sent when, how it is signed, and what becomes of it."""

import asyncio
import hmac
import json
from hashlib import sha256

import pytest
import stripe
from sandboxing import Receiver, Town, receiving, sandboxing


@pytest.fixture
async def receiver():
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def box(receiver: Receiver):
    """Yield a sandbox whose webhooks go to the receiver."""
    async with sandboxing(target=receiver.url) as opened:
        await opened.config(webhook_resend_s=0.01)
        yield opened


def verify(box: Town, body: bytes, signature: str) -> bool:
    """Tell whether somebody else's verifier of the same scheme takes it. Raises if not."""
    return stripe.WebhookSignature.verify_header(
        body.decode(), signature, box.settings["TRIPLESEAT_WEBHOOK_SIGNING_KEY"], tolerance=300
    )


async def test_a_new_event_is_told_signed_and_whole(box: Town, receiver: Receiver):
    booked = await box.book(contact="Zoë Müller")
    ((body, headers),) = await receiver.received(1)
    assert verify(box, body, headers["X-Signature"])
    assert headers["Content-Type"] == "application/json"
    told = json.loads(body)
    assert told["webhook_trigger_type"] == "CREATE_EVENT"
    assert told["event"] == booked["event"]
    assert len(told["event"]["documents"][0]["line_items"]) == 3
    assert "Zoë".encode() in body


async def test_another_body_does_not_fit_the_signature(box: Town, receiver: Receiver):
    await box.book()
    ((body, headers),) = await receiver.received(1)
    with pytest.raises(stripe.SignatureVerificationError):
        verify(box, body.replace(b"DEFINITE", b"CLOSED  "), headers["X-Signature"])


async def test_the_signature_may_be_bare_as_others_have_seen_it(box: Town, receiver: Receiver):
    await box.config(signature_form="bare")
    await box.book()
    ((body, headers),) = await receiver.received(1)
    key = box.settings["TRIPLESEAT_WEBHOOK_SIGNING_KEY"].encode()
    assert headers["X-Signature"] == hmac.new(key, body, sha256).hexdigest()


@pytest.mark.parametrize(
    ("change", "triggers"),
    [
        ({"status": "CLOSED"}, {"STATUS_CHANGE_EVENT", "UPDATE_EVENT"}),
        ({"guest_count": 99}, {"CHANGE_EVENT_GUEST_COUNTS", "UPDATE_EVENT"}),
        ({"date": "12/31/2026"}, {"CHANGE_EVENT_DATETIME", "UPDATE_EVENT"}),
        ({"items": [{"name": "Lemon Tart"}]}, {"UPDATE_EVENT_DOCUMENT", "UPDATE_EVENT"}),
        ({"name": "Another"}, {"UPDATE_EVENT"}),
        ({"status": "CLOSED", "triggers": ["STATUS_CHANGE_BOOKING"]}, {"STATUS_CHANGE_BOOKING"}),
    ],
)
async def test_a_change_is_told_by_its_triggers(box: Town, receiver: Receiver, change: dict, triggers: set[str]):
    booked = await box.book(triggers=[])
    changed = await box.admin.patch(f"/events/{booked['id']}", json=change)
    await box.webhooks()
    assert set(receiver.triggers) == triggers
    assert len(changed.json()["webhooks"]) == len(receiver.triggers) == len(triggers)


async def test_a_change_to_what_it_was_is_no_change_of_status(box: Town, receiver: Receiver):
    booked = await box.book(triggers=[])
    await box.admin.patch(f"/events/{booked['id']}", json={"status": "DEFINITE"})
    await box.webhooks()
    assert receiver.triggers == ["UPDATE_EVENT"]


async def test_a_deletion_is_told_with_the_event(box: Town, receiver: Receiver):
    booked = await box.book(triggers=[])
    await box.admin.delete(f"/events/{booked['id']}")
    ((body, _),) = await receiver.received(1)
    told = json.loads(body)
    assert (told["webhook_trigger_type"], told["event"]["id"]) == ("DELETE_EVENT", booked["id"])
    assert told["event"]["deleted_at"]


async def test_a_booking_is_told_under_its_own_name(box: Town, receiver: Receiver):
    booked = await box.book(triggers=["CREATE_BOOKING"])
    ((body, _),) = await receiver.received(1)
    assert json.loads(body)["booking"]["event_ids"] == [booked["id"]]


async def test_events_of_other_sites_are_told_to_their_own_endpoints(box: Town, receiver: Receiver):
    assert (await box.book(site_id=15702))["webhooks"] == []
    await box.admin.put("/target", json={"url": receiver.url, "site_ids": [15691, 15702]})
    await box.book(site_id=15702)
    ((body, _),) = await receiver.received(1)
    assert json.loads(body)["event"]["site_id"] == 15702


@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 500, 503])
async def test_anything_but_200_is_sent_again(box: Town, receiver: Receiver, status: int):
    receiver.statuses = [status, status]
    await box.book()
    (sent,) = await box.webhooks()
    assert [attempt["status"] for attempt in sent["attempts"]] == [status, status, 200]
    assert sent["state"] == "delivered"
    assert len({body for body, _ in receiver.requests}) == 1
    assert all(verify(box, body, headers["X-Signature"]) for body, headers in receiver.requests)


async def test_after_six_attempts_it_is_given_up(box: Town, receiver: Receiver):
    receiver.statuses = [500] * 6
    await box.book()
    (sent,) = await box.webhooks()
    assert (len(sent["attempts"]), sent["state"]) == (6, "failed")
    assert len(receiver.requests) == 6


async def endpoint(box: Town) -> dict:
    return (await box.admin.get("/target")).json()["endpoints"][0]


async def test_failures_in_a_row_are_counted_until_one_succeeds(box: Town, receiver: Receiver):
    receiver.statuses = [500] * 6
    await box.book()
    await box.webhooks()
    assert (await endpoint(box))["failed_count"] == 6
    await box.book()
    await box.webhooks()
    assert (await endpoint(box))["failed_count"] == 0


async def test_too_many_failures_switch_the_endpoint_off(box: Town, receiver: Receiver):
    await box.config(webhook_disable_after=4)
    receiver.statuses = [500] * 6
    await box.book()
    (sent,) = await box.webhooks()
    assert (sent["state"], len(sent["attempts"])) == ("disabled", 4)
    assert (await endpoint(box))["disabled_at"]
    assert (await box.book())["webhooks"] == []


async def test_a_receiver_that_is_not_there_counts_as_failure(box: Town, receiver: Receiver):
    await box.admin.put("/target", json={"url": "http://127.0.0.1:9/"})
    await box.book()
    (sent,) = await box.webhooks()
    assert {attempt["status"] for attempt in sent["attempts"]} == {None}
    assert sent["attempts"][0]["error"].startswith("No connection")


async def test_one_webhook_may_be_sent_again_byte_for_byte(box: Town, receiver: Receiver):
    await box.book()
    (sent,) = await box.webhooks()
    assert (await box.admin.post(f"/webhooks/{sent['id']}/resend")).status_code == 202
    (one, _), (other, headers) = await receiver.received(2)
    assert one == other
    assert verify(box, other, headers["X-Signature"])
    assert (await box.admin.post("/webhooks/999/resend")).status_code == 404


async def test_a_dropped_webhook_never_comes(box: Town, receiver: Receiver):
    await box.fault("webhook_dropped", count=1)
    await box.book()
    (sent,) = await box.webhooks()
    assert (sent["state"], sent["attempts"], sent["fault"]) == ("dropped", [], "webhook_dropped")
    await box.book()
    await box.webhooks()
    assert len(receiver.requests) == 1


async def test_a_duplicated_webhook_comes_twice(box: Town, receiver: Receiver):
    await box.fault("webhook_duplicated", count=1)
    await box.book()
    await box.webhooks()
    (one, _), (other, _) = receiver.requests
    assert one == other


async def test_a_wrong_signature_does_not_verify(box: Town, receiver: Receiver):
    await box.fault("webhook_wrong_signature", count=1)
    await box.book()
    ((body, headers),) = await receiver.received(1)
    with pytest.raises(stripe.SignatureVerificationError):
        verify(box, body, headers["X-Signature"])


async def test_a_webhook_out_of_order_comes_after_the_next(box: Town, receiver: Receiver):
    await box.fault("webhook_out_of_order", route="/webhooks/15691/CREATE_EVENT", count=1, seconds=20)
    booked = await box.book()
    await box.admin.patch(f"/events/{booked['id']}", json={"status": "CLOSED", "triggers": ["STATUS_CHANGE_EVENT"]})
    await receiver.received(2)
    assert receiver.triggers == ["STATUS_CHANGE_EVENT", "CREATE_EVENT"]
    assert [json.loads(body)["event"]["status"] for body, _ in receiver.requests] == ["CLOSED", "DEFINITE"]


async def test_without_a_next_it_comes_after_its_time(box: Town, receiver: Receiver):
    await box.fault("webhook_out_of_order", count=1, seconds=0.05)
    await box.book()
    await receiver.received(1)


async def test_five_hundred_bookings_are_all_told(box: Town, receiver: Receiver):
    made = await box.book(count=500)
    sent = await asyncio.wait_for(box.webhooks(), 40)
    assert {one["state"] for one in sent} == {"delivered"}
    assert {json.loads(body)["event"]["id"] for body, _ in receiver.requests} == {one["id"] for one in made["events"]}


async def test_a_receiver_beyond_this_machine_is_not_called(box: Town, receiver: Receiver):
    await box.admin.put("/target", json={"url": "http://10.0.0.1/hook"})
    await box.book()
    (sent,) = await box.webhooks()
    assert sent["state"] == "failed"
    assert "OUTBOUND_ALLOW" in sent["attempts"][0]["error"]
