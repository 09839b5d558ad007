"""Where one may listen, and with which secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubaudit.errors import ConfigError, UsageError
from hubaudit.watch.listen import Address, check_listen, is_loopback, parse_listen, secret_of


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::1]:8080", "::1", 8080),
        (":8080", "", 8080),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("watch.example.org:80", "watch.example.org", 80),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
    ],
)
def test_host_and_port_are_read_and_written(text: str, host: str, port: int) -> None:
    found = parse_listen(text)
    assert found == Address(host, port)
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "8080", "localhost", "::1:8080", "[::1]", "[::1]8080", "host:65536", "host:99999999"),
        *("host:-1", "host:", "host:80a", "host:٣", "[]:80", "[127.0.0.1]:80", "[::g]:80"),
        *("a b:80", "http://host:80", "-host:80", "<b>:80", "host:8 0"),
    ],
)
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_listen(text)
    assert caught.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_on_loopback_no_secret_is_needed(host: str) -> None:
    assert is_loopback(host)
    check_listen(host, 8080, None)
    check_listen(host, 8080, b"short")


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "localhost.evil.example", "2130706433"]
)
def test_beyond_loopback_a_long_secret_is_needed(host: str) -> None:
    for secret in (None, b"", b"x" * 15):
        with pytest.raises(UsageError):
            check_listen(host, 8080, secret)
    check_listen(host, 8080, b"x" * 16)


def test_no_message_holds_the_secret() -> None:
    with pytest.raises(UsageError) as caught:
        check_listen("0.0.0.0", 80, b"hunter2")
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_the_secret_is_had_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"from a file\r\n")
    assert secret_of({}) is None
    assert secret_of({"HUBAUDIT_HUB_SECRET": "given"}) == b"given"
    assert secret_of({"HUBAUDIT_HUB_SECRET_FILE": str(file)}) == b"from a file"


@pytest.mark.parametrize("given", ["", " padded", "two\nlines", "ünlatin", "bell\x07"])
def test_a_secret_that_no_header_can_hold_is_refused(given: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        secret_of({"HUBAUDIT_HUB_SECRET": given})
    assert not given or given not in f"{caught.value} {caught.value.hint}"
    file = tmp_path / "secret"
    file.write_text(given, encoding="utf-8")
    with pytest.raises(ConfigError):
        secret_of({"HUBAUDIT_HUB_SECRET_FILE": str(file)})


def test_a_file_that_is_none_or_no_secret_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 5000)
    for path in (tmp_path / "missing", tmp_path, large, "a\x00b"):
        with pytest.raises(ConfigError):
            secret_of({"HUBAUDIT_HUB_SECRET_FILE": str(path)})


def test_two_secrets_are_one_too_many() -> None:
    with pytest.raises(ConfigError):
        secret_of({"HUBAUDIT_HUB_SECRET": "a", "HUBAUDIT_HUB_SECRET_FILE": "b"})
