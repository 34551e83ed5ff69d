"""Where callbacks are asked for, and the secret that all processes of a ledger sign them with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dispatcher.application import SHORTEST_SECRET, Application
from dispatcher.cli.output import error_lines
from dispatcher.errors import UsageError
from dispatcher.ledger import Ledger
from dispatcher.settings import load
from dispatcher.target import callback_url
from dispatcher.wording import Wording

URL = "https://sms.example.com/callbacks"
SECRET = "correct horse battery staple"
KEY = "0a1b2c3d.1.2"


def application(here: Path, **values: str) -> Application:
    values = {"ledger": f"sqlite:///{here / 'ledger.db'}", **values}
    configuration = load(values, environ={}, directory=here, user_directory=here)
    return Application(configuration, Wording("en"))


@pytest.mark.parametrize(
    "url",
    [URL, "https://h:8443/a?b=c", "http://127.0.0.1:8080/callbacks", "http://localhost/x", "http://[::1]/x"],
)
def test_an_address_that_only_the_gateway_reads(tmp_path: Path, url: str) -> None:
    assert callback_url(application(tmp_path, callback_url=url).settings) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://sms.example.com/callbacks",
        "https://ann:s3cret@sms.example.com/callbacks",
        "ftp://sms.example.com",
        "sms.example.com/callbacks",
        "https://",
        "https://sms.example.com/callbacks#x?s3cret",
        "https://sms.example.com:99999/?s3cret",
        "https://[::1/",
        "https://sms.example.com/a b",
        "https://sms.example.com/\r\nX: y",
        "https://città.example.com/",
    ],
)
def test_any_other_address_is_refused_without_its_secrets(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="settings_callback_url") as caught:
        callback_url(application(tmp_path, callback_url=url).settings)
    for language in ("en", "it", "es"):
        lines = error_lines(caught.value, Wording(language))
        assert all(lines)
        assert "s3cret" not in " ".join(lines)


def test_without_an_address_nothing_is_asked_for(tmp_path: Path) -> None:
    with application(tmp_path) as house:
        assert house.callbacks(house.ledger()) is None
        assert "callback_secret" not in (tmp_path / "ledger.db").read_bytes().decode(errors="replace")


def test_processes_without_a_secret_share_the_ledgers(tmp_path: Path, ledger_url: str) -> None:
    Ledger.open(ledger_url, create=True).dispose()

    def signature(number: int) -> str:
        ledger = Ledger.open(ledger_url)
        try:
            # another configuration each time, as `run` and `serve` have
            house = application(tmp_path, callback_url=f"{URL}/{number}")
            found = house.callbacks(ledger)
            assert found is not None
            callback = found(KEY)
            assert callback.headers is not None
            (signature,) = callback.headers.values()
            assert house.signer(ledger).is_ours(KEY, signature)
            return signature
        finally:
            ledger.dispose()

    with ThreadPoolExecutor(3) as threads:
        assert len(set(threads.map(signature, range(3)))) == 1


def test_a_secret_of_the_settings_is_not_written_down(tmp_path: Path) -> None:
    with application(tmp_path, callback_secret=SECRET) as first, application(tmp_path) as second:
        ledger = first.ledger()
        signature = first.signer(ledger).signature(KEY)
        assert not second.signer(ledger).is_ours(KEY, signature)
        assert ledger.agreement("callback_secret").reach("another", replace=False) != SECRET


def test_two_ledgers_do_not_share_a_made_secret(tmp_path: Path) -> None:
    signatures = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with application(tmp_path / name) as house:
            signatures.add(house.signer(house.ledger()).signature(KEY))
    assert len(signatures) == 2


@pytest.mark.parametrize(("length", "good"), [(SHORTEST_SECRET - 1, False), (SHORTEST_SECRET, True)])
def test_a_secret_that_can_be_guessed_is_refused(tmp_path: Path, length: int, good: bool) -> None:
    with application(tmp_path, callback_secret="k" * length) as house:
        ledger = house.ledger()
        if good:
            assert house.signer(ledger).signature(KEY)
            return
        with pytest.raises(UsageError, match="settings_callback_secret") as caught:
            house.signer(ledger)
        assert all(error_lines(caught.value, Wording("en")))
        assert "kkk" not in str(caught.value)


def test_a_new_secret_signs_and_the_one_before_is_believed(tmp_path: Path) -> None:
    before = application(tmp_path, callback_secret=SECRET)
    after = application(tmp_path, callback_secret=SECRET + "!", callback_secret_old=SECRET)
    alone = application(tmp_path, callback_secret=SECRET + "!")
    with before, after, alone:
        old, new, strict = (each.signer(each.ledger()) for each in (before, after, alone))
        assert new.is_ours(KEY, old.signature(KEY))
        assert new.signature(KEY) == strict.signature(KEY) != old.signature(KEY)
        assert not strict.is_ours(KEY, old.signature(KEY))
        assert not new.is_ours(KEY, old.signature(KEY + "0"))
