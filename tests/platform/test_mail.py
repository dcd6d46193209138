"""Mails against a real SMTP server: what arrives, sign-in, TLS, refusals, a server that is away."""

import asyncio
import socket
import ssl
import string
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postbox import mailing, make_certificate

from mainstem.platform.mail import Mailer, MailError
from mainstem.platform.settings import Settings, SettingsError, load_settings
from mainstem.platform.smtp import Server, is_address, server_of

SENDER = "Mainstem <alerts@hub.example.org>"


def mailer(url: str | None, *, tls: ssl.SSLContext | None = None, mail_from: str | None = SENDER) -> Mailer:
    return Mailer(Settings(_env_file=None, smtp_url=url, mail_from=mail_from), tls=tls)


async def test_a_mail_arrives_as_plain_text_with_its_headers() -> None:
    now = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
    text = "Straße: 100 % voll.\n.a line that begins with a dot\n" + "x" * 2_000
    with mailing() as box:
        refused = await mailer(box.url).send(
            ["ops@example.com", "ana@example.com"], "Pool: 85 % of 60, größer", text, message_id="<a.1@hub>", now=now
        )
    ((envelope, mail),) = box.mails
    assert refused == ()
    assert (envelope.mail_from, envelope.rcpt_tos) == ("alerts@hub.example.org", ["ops@example.com", "ana@example.com"])
    assert (mail["from"], mail["to"]) == (SENDER, "ops@example.com, ana@example.com")
    assert (mail["subject"], mail["message-id"], mail["auto-submitted"]) == (
        "Pool: 85 % of 60, größer",
        "<a.1@hub>",
        "auto-generated",
    )
    assert parsedate_to_datetime(mail["date"]) == now
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n").strip() == text


async def test_each_mail_has_an_id_of_the_senders_domain() -> None:
    with mailing() as box:
        for _ in range(2):
            await mailer(box.url).send(["ops@example.com"], "s", "t")
    ids = [mail["message-id"] for _, mail in box.mails]
    assert len(set(ids)) == 2
    assert all(one.endswith("@hub.example.org>") for one in ids)


async def test_a_line_break_in_a_subject_makes_no_header() -> None:
    with mailing() as box:
        await mailer(box.url).send(["ops@example.com"], "a\r\nBcc: evil@example.com\nb" + "c" * 500, "t")
    ((envelope, mail),) = box.mails
    assert envelope.rcpt_tos == ["ops@example.com"]
    assert mail["bcc"] is None
    assert mail["subject"].startswith("a Bcc: evil@example.com b")


async def test_it_signs_in() -> None:
    with mailing(login=True) as box:
        await mailer(box.url).send(["ops@example.com"], "s", "t")
    assert box.sessions[0].authenticated


async def test_a_wrong_password_is_told_without_it() -> None:
    with mailing(login=True) as box, pytest.raises(MailError, match="535") as caught:
        await mailer(box.url.replace("rd@", "rong@")).send(["ops@example.com"], "s", "t")
    assert not caught.value.permanent
    assert "p@ss" not in str(caught.value)
    assert box.mails == []


@pytest.mark.parametrize("implicit", [False, True])
async def test_it_speaks_tls_where_the_server_does(tmp_path, implicit: bool) -> None:
    certificate = make_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    with mailing(login=True, certificate=certificate, implicit=implicit) as box:
        await mailer(box.url, tls=trusting).send(["ops@example.com"], "s", "t")
    assert len(box.mails) == 1
    assert implicit or box.sessions[0].ssl is not None


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path, implicit: bool) -> None:
    with (
        mailing(certificate=make_certificate(tmp_path), implicit=implicit) as box,
        pytest.raises(MailError, match="certificate is not trusted"),
    ):
        await mailer(box.url).send(["ops@example.com"], "s", "t")
    assert box.mails == []


async def test_a_refused_receiver_does_not_keep_the_mail_from_the_others() -> None:
    with mailing() as box:
        box.refused["gone@example.com"] = "550 no such user"
        refused = await mailer(box.url).send(["gone@example.com", "ops@example.com"], "s", "t")
    assert refused == ("gone@example.com",)
    assert box.mails[0][0].rcpt_tos == ["ops@example.com"]


@pytest.mark.parametrize(
    ("answer", "permanent"), [("550 no such user", True), ("450 greylisted, come back", False), ("552 full", True)]
)
async def test_a_mail_that_every_receiver_refuses_fails(answer: str, permanent: bool) -> None:
    with mailing(refuse=answer) as box, pytest.raises(MailError, match=answer[:3]) as caught:
        await mailer(box.url).send(["ops@example.com"], "s", "t")
    assert caught.value.permanent is permanent


@pytest.mark.parametrize(("answer", "permanent"), [("554 looks like spam", True), ("451 disk full", False)])
async def test_a_refused_text_fails(answer: str, permanent: bool) -> None:
    with mailing(answer=answer) as box, pytest.raises(MailError, match=answer) as caught:
        await mailer(box.url).send(["ops@example.com"], "s", "t")
    assert caught.value.permanent is permanent


async def test_a_server_that_is_away_is_told() -> None:
    with mailing() as box:
        url = box.url
    with pytest.raises(MailError, match="can't be reached") as caught:
        await mailer(url).send(["ops@example.com"], "s", "t")
    assert not caught.value.permanent


async def test_a_server_that_says_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstem.platform.mail.TIMEOUT_S", 0.1)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    left = asyncio.Event()
    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(MailError, match="no answer in time"):
            await mailer(f"smtp://127.0.0.1:{port}").send(["ops@example.com"], "s", "t")
        await asyncio.wait_for(left.wait(), 5)


async def test_a_password_never_travels_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstem.platform.mail._is_loopback", lambda _: False)
    with mailing(login=True) as box, pytest.raises(MailError, match="in the clear"):
        await mailer(box.url).send(["ops@example.com"], "s", "t")


async def test_a_receiver_beyond_ascii_needs_a_server_that_takes_it() -> None:
    with mailing(utf8=False) as box, pytest.raises(MailError) as caught:
        await mailer(box.url).send(["jürgen@example.com"], "s", "t")
    assert caught.value.permanent
    assert box.mails == []


def test_it_is_configured_by_server_and_sender() -> None:
    assert not mailer(None).configured
    assert not mailer("smtp://mail.example.com", mail_from=None).configured
    assert mailer("smtp://mail.example.com").configured
    assert mailer("smtp://hub%40example.com:x@mail.example.com", mail_from=None).configured


async def test_without_a_server_it_says_what_to_set() -> None:
    with pytest.raises(MailError, match="SMTP_URL"):
        await mailer(None).send(["ops@example.com"], "s", "t")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", Server("mail.example.com", 25, tls=False)),
        ("smtp://u:p%40@mail.example.com", Server("mail.example.com", 587, tls=False, user="u", password="p@")),
        ("smtps://mail.example.com", Server("mail.example.com", 465, tls=True)),
        ("smtp://u@mail.example.com:2525/", Server("mail.example.com", 2525, tls=False, user="u")),
        ("smtp://[::1]:25", Server("::1", 25, tls=False)),
    ],
)
def test_urls_of_servers(url: str, server: Server) -> None:
    assert server_of(url) == server
    assert "p@" not in repr(server)


@pytest.mark.parametrize("url", ["mail.example.com", "http://mail", "smtp://", "smtp://mail/x", "smtp://mail:99999"])
def test_what_is_no_server_stops_the_start(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMTP_URL", url)
    with pytest.raises(SettingsError, match="SMTP_URL"):
        load_settings()


@pytest.mark.parametrize(("name", "value"), [("MAIL_FROM", "nobody"), ("MAIL_TO", "ops@example.com,nobody")])
def test_what_is_no_address_stops_the_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize("text", ["a@b.example", "a.b+c@example.com", "ops@localhost"])
def test_addresses(text: str) -> None:
    assert is_address(text)


@given(st.text(string.printable + "ä@", max_size=20) | st.builds("{}@{}".format, st.text(string.printable), st.text()))
def test_no_text_with_a_line_break_is_an_address(text: str) -> None:
    if is_address(text):
        assert not set(text) & set("\r\n<>, \t")


def test_nothing_listens_on_a_port_that_was_let_go() -> None:
    """Guards the tests above: a server that went must be away."""
    with mailing() as box:
        port = int(box.url.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
