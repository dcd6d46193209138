"""Who may connect, from where, and where the token may stand."""

import pytest

from mainstem.dashboard.admission import check_origin, credential, subprotocol
from mainstem.dashboard.clients import RefusedError
from mainstem.platform.settings import Settings

TOKEN = "ms_live_Zq7wX2mV9kLp4RtY8sNb3HcJ"


def handshake(query: str = "", *protocols: str, **headers: str) -> dict[str, object]:
    return {
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "query_string": query.encode(),
        "subprotocols": list(protocols),
    }


@pytest.mark.parametrize(
    "scope",
    [
        handshake(f"token={TOKEN}"),
        handshake(f"a=b&token={TOKEN}&token=other"),
        handshake("", f"bearer.{TOKEN}"),
        handshake("token=other", "mainstem", f"bearer.{TOKEN}"),
        handshake("token=other", "bearer.other", authorization=f"Bearer {TOKEN}"),
        handshake("", **{"x-api-key": TOKEN}),
    ],
)
def test_a_token_is_found_wherever_a_client_can_put_it(scope):
    assert credential(scope) == TOKEN


@pytest.mark.parametrize(
    "scope", [handshake(), handshake("token="), handshake("x=1", "bearer."), handshake("&" * 500 + "token=x")]
)
def test_without_a_token_there_is_none(scope):
    assert credential(scope) is None


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        ([], None),
        (["mainstem"], "mainstem"),
        (["mainstem", f"bearer.{TOKEN}"], "mainstem"),
        ([f"bearer.{TOKEN}", "mainstem"], "mainstem"),
        ([f"bearer.{TOKEN}"], f"bearer.{TOKEN}"),
    ],
)
def test_the_answer_is_a_protocol_without_the_token_where_there_is_one(offered, answer):
    assert subprotocol(offered) == answer


SETTINGS = Settings(_env_file=None, cors_origins="https://app.example.com", public_url="https://go.example.com")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "hub.example.com"),
        ("http://hub.example.com:8000", "hub.example.com:8000"),
        ("https://hub.example.com", "hub.example.com"),
        ("https://hub.example.com", "hub.example.com:443"),
        ("https://HUB.example.com", "hub.example.com"),
        ("https://app.example.com", "hub.example.com"),
        ("https://go.example.com", "10.0.0.7:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_own_and_listed_pages_may_connect(origin, host):
    check_origin(handshake(host=host, **({} if origin is None else {"origin": origin})), SETTINGS)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "hub.example.com"),
        ("https://hub.example.com.evil.example", "hub.example.com"),
        ("https://hub.example.com:8443", "hub.example.com"),
        ("http://app.example.com", "hub.example.com"),
        ("null", "hub.example.com"),
        ("", "hub.example.com"),
        ("file://", "hub.example.com"),
        ("https://evil.example", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_other_pages_may_not(origin, host):
    with pytest.raises(RefusedError) as refusal:
        check_origin(handshake(host=host, origin=origin), SETTINGS)
    assert refusal.value.code == 1008


def test_a_star_lets_every_page_in():
    check_origin(handshake(host="hub.example.com", origin="null"), Settings(_env_file=None, cors_origins="*"))
