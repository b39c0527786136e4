"""A personal value is shown by its shape, and with a key by a hash that only the key's holder can make again."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from triad.redaction import KEY, shown, shown_path


@pytest.fixture(autouse=True)
def without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("anna.meyer@shop.de", "'aaaa.aaaaa@aaaa.aa'"),
        ("+49 170 5550123", "'+99 999 9999999'"),
        ("Zoë_Ünal 李小龍 ٣", "'Aaa_Aaaa aaa 9'"),
        (None, "missing"),
        ("", "''"),
        (4711, "'9999'"),
        ("😀 <svg onload=x>", "'a <aaa aaaaaa=a>'"),
    ],
)
def test_a_personal_value_is_shown_by_its_shape(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_a_value_that_is_not_personal_is_shown_as_it_is_and_long_ones_are_cut() -> None:
    assert shown("31.02.2025", personal=False) == "'31.02.2025'"
    assert shown("x" * 100_000, personal=False) == f"'{'x' * 60}' (100,000 characters)"
    assert shown("B" * 100_000) == f"'{'A' * 60}' (100,000 characters)"


def test_a_key_adds_a_hash_that_tells_values_of_one_shape_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    digest = hmac.new(b"secret", b"shown u17", hashlib.sha256).hexdigest()[:8]
    assert shown("u17") == f"'a99' (#{digest})"
    assert shown("u17") != shown("u18")
    monkeypatch.setenv(KEY, "another")
    assert digest not in shown("u17")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("host=h password=SECRET user=u", "host=h password=… user=u"),
        ("PWD={SEC;RET};UID=u", "PWD=…;UID=u"),
        ("az://c/p;AccountKey=SECRET==", "az://c/p;AccountKey=…"),
        ("Passwd = 'SEC RET', host h", "Passwd = …, host h"),
        ("aws_secret_access_key=SECRET", "aws_secret_access_key=…"),
        ("uri: http://h, credential=id:SECRET", "uri: http://h, credential=…"),
        ("the password is asked for; 3 passwords", "the password is asked for; 3 passwords"),
        ("min_count=3 tokens=5 signal=7", "min_count=3 tokens=5 signal=7"),
    ],
)
def test_a_secret_among_settings_is_not_shown(said: str, left: str) -> None:
    assert shown_path(said) == left
