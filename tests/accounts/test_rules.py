"""Who may make an account, and what mailed links begin with."""

from email.policy import SMTP
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.accounts.rules import MailOffError, SignUpClosedError, base_of, check_address, check_sign_up, sign_up_of
from mainstem.platform.clock import utc_now
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.mail import _message
from mainstem.platform.settings import Environment, Settings, SignUp


@given(st.one_of(st.emails(), st.from_regex(r"[^@]{1,20}@[^@]{1,20}", fullmatch=True), st.text(max_size=40)))
def test_every_address_that_is_taken_can_be_written_to(email: str):
    try:
        taken = check_address(email)
    except InvalidFieldError:
        return
    message = _message("hub@example.org", [taken], "Subject", "Text", "<1@example.org>", utc_now())
    assert message.as_bytes(policy=SMTP.clone(utf8=True)).count(b"To: ") == 1
    assert [one.addr_spec for one in message["To"].addresses] == [taken]


@given(st.sampled_from(Environment), st.one_of(st.none(), st.sampled_from(SignUp)))
def test_strangers_come_in_only_where_somebody_said_so_or_at_a_developers(
    environment: Environment, chosen: SignUp | None
):
    secret = "k3-Vx9_quiet-harbour-lantern-Zp7w"
    settings = Settings(_env_file=None, environment=environment, sign_up=chosen, secret_key=secret)
    mode = sign_up_of(settings)
    assert (mode is SignUp.OPEN) == (
        chosen is SignUp.OPEN or (chosen is None and environment is Environment.DEVELOPMENT)
    )
    assert chosen is None or mode is chosen


@pytest.mark.parametrize(
    ("mode", "invited", "may"),
    [
        (SignUp.OPEN, False, True),
        (SignUp.OPEN, True, True),
        (SignUp.INVITED, True, True),
        (SignUp.INVITED, False, False),
        (SignUp.CLOSED, True, False),
        (SignUp.CLOSED, False, False),
    ],
)
def test_who_may_make_an_account(mode: SignUp, invited: bool, may: bool):
    if may:
        check_sign_up(mode, invited=invited)
    else:
        with pytest.raises(SignUpClosedError):
            check_sign_up(mode, invited=invited)


@given(
    st.one_of(
        st.text(max_size=60).map(lambda host: f"http://{host}/"),
        st.sampled_from(
            [
                *("http://localhost:8000/", "http://127.0.0.1/", "http://[::1]:9/", "https://localhost/"),
                *("http://localhost.evil.example/", "http://localhost@evil.example/", "http://127.0.0.1.evil.example/"),
                *("http://evil.example#localhost", "http://evil.example/localhost", "http://0x7f000001/", "http://["),
                *("http://evil@localhost/", "http://localhost:x/"),
            ]
        ),
    )
)
def test_a_link_leads_to_the_hub_or_to_this_machine(requested: str):
    assert base_of("https://hub.example/", requested) == "https://hub.example"
    try:
        base = base_of(None, requested)
    except MailOffError:
        return
    assert urlsplit(base).hostname in {"localhost", "127.0.0.1", "::1"}
    assert urlsplit(base).path == ""
    assert "@" not in base
