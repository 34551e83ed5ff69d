"""Nothing that is shown of a message tells a one-time code, whatever the listing leaves out."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dispatcher.gateway.masking import CODE_SENDER, holds_code, masked_text, shown
from dispatcher.gateway.models import Message

CODES = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=4, max_size=10)
SENTENCES = st.sampled_from(
    ["Il tuo codice di verifica è {}", "Your code: {}. Never tell it.", "{} ist Ihr Code", "Ihr 2. Code: {}"]
)


@pytest.mark.parametrize(
    ("facts", "text", "said"),
    [
        ({}, "Room 12 at 9:30", "Room 12 at 9:30"),
        ({"isOtp": True, "otp": "48213"}, "Your code is 48213.", "Your code is •••••."),
        ({"isOtp": True, "otp": "48213"}, "2 days: 48213", "• days: •••••"),
        ({"isOtp": True, "otp": "K7XQA"}, "Code k7xqa!", "Code •••••!"),
        ({"isOtp": True, "otp": "48213"}, "Your code is 48 213.", "•••• •••• •• •• ••••"),
        ({"isOtp": True}, "Code KXQRZ", "•••• •••••"),
        ({"otp": "KXQRZ"}, "Code KXQRZ", "Code •••••"),
        ({"sender": CODE_SENDER}, "Code KXQRZ", "•••• •••••"),
        ({"isOtp": True}, None, ""),
        ({"isOtp": False, "sender": "Studio"}, "Gate 7", "Gate 7"),
        ({"isOtp": True, "otp": "١٢٣٤"}, "رمز ١٢٣٤ ٥", "رمز •••• •"),
    ],
)
def test_the_text_of_a_code(facts: dict[str, Any], text: str | None, said: str) -> None:
    message = Message.model_validate({"id": "m1", "message": text, **facts})
    assert masked_text(message) == said
    assert holds_code(message) == (said != (text or "") or not text)


@given(CODES, SENTENCES, st.booleans(), st.sampled_from([True, None]), st.sampled_from([CODE_SENDER, None]))
def test_no_code_is_shown(
    code: str, sentence: str, named: bool, flag: bool | None, sender: str | None
) -> None:
    assume(named or flag or sender)
    message = Message.model_validate(
        {
            "id": "f00",
            "isOtp": flag,
            "otp": code if named else None,
            "sender": sender,
            "message": sentence.format(code),
            "callback": {"url": "https://x.example", "headers": {"X-Secret": code}, "custom": {"row": "1"}},
        }
    )
    said = json.dumps(asdict(shown(message)), default=str, ensure_ascii=False)
    assert code not in said
    assert code not in repr(message)
    assert not any(letter.isdigit() for letter in shown(message).text)
