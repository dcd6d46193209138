"""`mainstem webhooks listen` as a process: what it shows of real deliveries."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from e2e_server import clean_environment
from standardwebhooks.webhooks import Webhook

from mainstem.platform.clock import utc_now
from mainstem.webhooks.sign import Secret, SecretKind

BODY = '{"type": "order.paid", "data": {"note": "Grüße"}}'


@contextmanager
def listening(*options: str) -> Iterator[tuple[subprocess.Popen, str]]:
    command = [sys.executable, "-m", "mainstem", "webhooks", "listen", "--port", "0", "--json", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        try:
            yield process, json.loads(process.stdout.readline())["listening"]
        finally:
            process.terminate()
            process.communicate(timeout=20)


def test_it_tells_signed_requests_from_others():
    secret = Secret.new(SecretKind.HMAC).shown
    now = utc_now()
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, BODY),
    }
    with listening("--secret", secret) as (process, url):
        assert httpx.post(f"{url}/hook", content=BODY.encode(), headers=signed).status_code == 200
        told = json.loads(process.stdout.readline())
        assert (told["path"], told["webhook_id"], told["verified"]) == ("/hook", "msg_1", True)
        assert told["body"] == json.loads(BODY)
        httpx.post(url, content=BODY.replace("paid", "sent").encode(), headers=signed)
        assert json.loads(process.stdout.readline())["reason"] == "no entry of webhook-signature fits"
        httpx.post(url, content=b"no json", headers={})
        told = json.loads(process.stdout.readline())
        assert (told["verified"], told["body"]) == (False, "no json")


def test_it_answers_what_it_is_told_to():
    with listening("--status", "503") as (process, url):
        assert httpx.post(url, content=b"{}").status_code == 503
        assert json.loads(process.stdout.readline())["verified"] is None


def test_a_secret_that_is_none_is_said_to_be_so():
    done = subprocess.run(
        [sys.executable, "-m", "mainstem", "webhooks", "listen", "--secret", "nonsense"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "whsec_" in done.stderr
