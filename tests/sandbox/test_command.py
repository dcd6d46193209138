"""`mainstem sandbox` as a process."""

import json
import re
import shlex
import signal
import socket
import subprocess

import httpx
import pytest
from e2e_server import clean_environment
from sandboxing import COMMAND, running

from mainstem.platform.addresses import parse_networks
from mainstem.platform.reach import check_target
from mainstem.platform.settings import Settings, load_settings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_settings_serves_and_ends_in_good_order(number: int):
    with running("--json") as process:
        settings = json.loads(process.stdout.readline())
        url = settings["SANDBOX_URL"]
        booked = httpx.post(f"{url}/admin/events", json={}, timeout=20)
        assert booked.status_code == 201
        form = {
            "grant_type": "client_credentials",
            "client_id": settings["TRIPLESEAT_OAUTH_CLIENT_ID"],
            "client_secret": settings["TRIPLESEAT_OAUTH_CLIENT_SECRET"],
        }
        token = httpx.post(settings["TRIPLESEAT_TOKEN_URL"], data=form).json()["access_token"]
        event = httpx.get(
            f"{settings['TRIPLESEAT_BASE_URL']}/v1/events/{booked.json()['id']}.json",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert str(event.json()["event"]["site_id"]) == settings["TRIPLESEAT_SITE_ID"]
        establishment = httpx.get(
            f"{settings['REVEL_BASE_URL']}/enterprise/Establishment/{settings['REVEL_ESTABLISHMENT_ID']}/",
            headers={"API-AUTHENTICATION": f"{settings['REVEL_API_KEY']}:{settings['REVEL_API_SECRET']}"},
        )
        assert establishment.json()["time_zone"] == settings["TIMEZONE"]
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_request_that_is_held_does_not_hold_the_end_up():
    with running("--json") as process:
        url = json.loads(process.stdout.readline())["SANDBOX_URL"]
        httpx.post(f"{url}/admin/faults", json={"kind": "timeout"}, timeout=20)
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as held:
            held.sendall(b"GET /revel/resources/Order/ HTTP/1.1\r\nHost: x\r\n\r\n")
            while not httpx.get(f"{url}/admin/requests").json()["count"]:
                pass
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=20) == ("", "")
            with pytest.raises(ConnectionResetError):
                held.recv(1)
        assert process.returncode == 0


def test_a_hub_takes_the_settings(monkeypatch: pytest.MonkeyPatch):
    with running("--json") as process:
        printed = json.loads(process.stdout.readline())
    ours = {name.lower() for name in printed} - {"sandbox_url", "tripleseat_token_url", "connector_mapping"}
    assert ours <= set(Settings.model_fields)
    for name, value in printed.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.enable_connector is True
    assert settings.timezone == "America/New_York"
    assert settings.tripleseat_site_id == "15691"
    assert settings.revel_api_secret.get_secret_value() == printed["REVEL_API_SECRET"]
    assert check_target(printed["REVEL_BASE_URL"], parse_networks(settings.outbound_allow))


def test_for_people_it_prints_lines_that_a_shell_takes():
    with running() as process:
        lines = iter(process.stdout.readline, "\n")
        exported = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        told = re.search(r"curl -X POST (\S+) -d", "".join(process.stdout.readline() for _ in range(3)))
        assert exported["ENABLE_CONNECTOR"] == "true"
        assert told[1] == f"{exported['SANDBOX_URL']}/admin/events"
        assert httpx.post(told[1], content=b"{}", timeout=20).status_code == 201


def test_a_port_that_is_taken_is_said_to_be_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
        )
    assert done.returncode == 2
    assert f"port {port} can't be had" in re.sub(r"[│\s]+", " ", done.stderr)


def test_the_admin_api_answers_this_machine_alone():
    with running("--json", "--host", "0.0.0.0") as process:  # noqa: S104 - that is what is tried
        url = json.loads(process.stdout.readline())["SANDBOX_URL"]
        assert url.startswith("http://127.0.0.1:")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # sends nothing: it only asks which of our addresses would be used
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                pytest.skip("this machine has no address beside loopback")
            outside = probe.getsockname()[0]
        other = url.replace("127.0.0.1", outside)
        assert httpx.get(f"{other}/health", timeout=20).status_code == 200
        assert httpx.get(f"{other}/admin/orders", headers={"Host": "localhost"}).status_code == 403


def test_settings_are_printed_without_serving():
    def printed(*options: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*COMMAND, "--print", *options],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )

    done = printed("--port", "8901", "--json")
    assert json.loads(done.stdout)["REVEL_BASE_URL"] == "http://127.0.0.1:8901/revel"
    assert printed("--port", "8901", "--json").stdout == done.stdout
    assert printed("--port", "8901", "--json", "--seed", "2").stdout != done.stdout
    assert printed("--port", "0").returncode == 2
