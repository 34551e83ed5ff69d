"""The header by which a callback is known to be about the row it names."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.gateway.signing import SIGNATURE_HEADER, Signer

KEY = "0a1b2c3d.12.345"
SECRET = "a secret that nobody guesses"
SIGNER = Signer(SECRET)


def test_the_header_is_the_hmac_of_the_row_key() -> None:
    callback = SIGNER.callback("https://example.com/callbacks", KEY)
    expected = hmac.new(SECRET.encode(), KEY.encode(), hashlib.sha256).hexdigest()
    assert callback.model_dump(exclude_none=True) == {
        "url": "https://example.com/callbacks",
        "method": "JSON",
        "retry": 5,
        "headers": {SIGNATURE_HEADER: expected},
        "custom": {"row": KEY},
    }
    assert SIGNER.is_ours(KEY, expected)


@given(key=st.from_regex(r"[0-9a-f]{8}\.\d{1,6}\.\d{1,7}", fullmatch=True))
def test_a_signature_fits_its_own_row_and_secret_only(key: str) -> None:
    signature = SIGNER.signature(key)
    assert SIGNER.is_ours(key, signature)
    assert not SIGNER.is_ours(key + "0", signature)
    assert not Signer(SECRET + "!").is_ours(key, signature)


@pytest.mark.parametrize("found", ["", "x", "è" * 64, "\udcff" * 64, SIGNER.signature(KEY).upper()])
def test_what_is_no_signature_is_refused(found: str) -> None:
    assert not SIGNER.is_ours(KEY, found)


def test_the_secret_is_shown_nowhere() -> None:
    shown = f"{SIGNER!r} {SIGNER} {SIGNER.callback('https://example.com', KEY)!r}"
    assert SECRET not in shown
    assert SIGNER.signature(KEY) not in shown
