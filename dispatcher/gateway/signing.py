"""Callbacks that can be believed: each message asks for one whose header only the holder of a secret could have made.

The header is an HMAC of the row's key: whoever learns one (a listing echoes them) can forge nothing about another row.
"""

from __future__ import annotations

import hmac

from dispatcher.gateway.models import Callback

SIGNATURE_HEADER = "X-Dispatcher-Signature"
RETRIES = 5
"""The most the provider offers; a callback told twice does no harm, and one lost has to be asked for."""


class Signer:
    """Signs row keys; its secrets are in no representation of it.

    ``before``: what was signed with it, before the secret was changed, is ours still; nothing new is.
    """

    def __init__(self, secret: str, before: str | None = None) -> None:
        self._keyed = hmac.new(secret.encode(), digestmod="sha256")
        self._before = None if before is None else Signer(before)

    def callback(self, url: str, row_key: str) -> Callback:
        """The ``callback`` of a request that sends the row."""
        return Callback(
            url=url,
            method="JSON",
            retry=RETRIES,
            headers={SIGNATURE_HEADER: self.signature(row_key)},
            custom={"row": row_key},
        )

    def signature(self, row_key: str) -> str:
        """HMAC-SHA256 of the row key, in hexadecimal digits."""
        # hmac.digest() gives the interpreter's lock away each time: thousands of times a second that is waited for
        mac = self._keyed.copy()
        mac.update(row_key.encode())
        return mac.hexdigest()

    def is_ours(self, row_key: str, signature: str) -> bool:
        """Whether a callback about the row came with the header that was asked for; in constant time."""
        if hmac.compare_digest(self.signature(row_key).encode(), signature.encode(errors="replace")):
            return True
        return self._before is not None and self._before.is_ours(row_key, signature)
