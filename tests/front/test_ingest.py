"""Which bulk requests are read without a further look for personal data."""

from types import SimpleNamespace

import pytest

from mainstem.events.sealing import Sealer
from mainstem.front.ingest import Ingest
from mainstem.pii.box import Keyring
from mainstem.platform.settings import Settings
from mainstem.site.receive import known_event


@pytest.mark.parametrize(
    ("fields", "decode"),
    [(Settings(_env_file=None).pii_fields, known_event), (["email", "title"], None), (["user_id"], None)],
)
def test_members_that_pii_fields_names_are_never_taken_for_known(fields, decode) -> None:
    sealer = Sealer(fields, Keyring(bytes(32)))
    services = SimpleNamespace(
        intake=SimpleNamespace(commit=None),
        settings=Settings(_env_file=None),
        sealer=sealer,
        ip_secret=b"x" * 32,
        visitor_secret=b"x" * 32,
    )
    assert Ingest(services)._decode_known is decode
