"""Opens sealed values where they are allowed to be read: exports, and deliveries at the moment they are sent.

The keys are read anew at every call and kept no longer, so that nothing of an erased subject is opened after the erasure.
"""

from collections.abc import Sequence
from typing import Final

from mainstem.pii.box import Keyring
from mainstem.pii.store import Subjects
from mainstem.pii.token import replaced, tokens_in
from mainstem.platform.db import Connection

ERASED: Final = '"(erased)"'


class Opener:
    """Opens the tokens of JSON texts, for one installation."""

    def __init__(self, keyring: Keyring) -> None:
        """Keep the installation's key."""
        self._subjects = Subjects(keyring)

    async def open_texts(
        self, connection: Connection, tenant_id: int, texts: Sequence[str], *, erased: str = ERASED
    ) -> list[str]:
        """Return JSON texts of a tenant with every sealed value opened; `erased` (JSON) stands for those without a key.

        Raises PiiKeyError when the key of the installation has changed, SealBrokenError for a value that was tampered with.
        """
        sealed = [list(tokens_in(text)) for text in texts]
        subjects = {token.subject for tokens in sealed for token in tokens}
        if not subjects:
            return list(texts)
        keys = await self._subjects.keys(connection, tenant_id, subjects)
        opened = []
        for text, tokens in zip(texts, sealed, strict=True):
            values = {str(one): keys[one.subject].open(one) if one.subject in keys else erased for one in tokens}
            opened.append(replaced(text, values))
        return opened
