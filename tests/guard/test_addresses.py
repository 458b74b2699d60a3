"""Which hosts may be called."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import psutil
import pytest

from dd_ray.guard.addresses import HostRefused, addresses_of, is_public, may_call
from tests.conftest import SetSettings

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2001:4860:4860::8888"]
PRIVATE = [
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.2.2", "198.18.0.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "192.0.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
    # an IPv4 address in disguise
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::10.0.0.1"),
    *("2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert is_public(ip_address(address))
    assert may_call("x", ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_no_other_address_may_be_called(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not may_call("x", ip_address(address))


def test_this_machine_is_not_called_by_its_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = type("Entry", (), {"address": "93.184.216.34"})
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": [entry]})
    assert not may_call("x", ip_address("93.184.216.34"))
    assert may_call("x", ip_address("93.184.216.35"))
    assert may_call("x", ip_address("93.184.216.34"), ["93.184.216.34"])


@pytest.mark.parametrize(
    ("host", "address", "entries", "allowed"),
    [
        ("db", "10.0.0.1", ["db"], True),
        ("DB.", "10.0.0.1", ["db"], True),
        ("db", "10.0.0.1", ["DB"], True),
        ("db2", "10.0.0.1", ["db"], False),
        ("a.lan", "10.0.0.1", [".lan"], True),
        ("lan", "10.0.0.1", [".lan"], False),
        ("evil-lan", "10.0.0.1", [".lan"], False),
        ("x", "10.0.0.1", ["10.0.0.0/8"], True),
        ("x", "11.0.0.1", ["12.0.0.0/8"], True),  # public anyhow
        ("x", "192.168.0.1", ["10.0.0.0/8"], False),
        ("x", "::ffff:10.0.0.1", ["10.0.0.0/8"], True),
        ("x", "fd00::1", ["fd00::/8"], True),
        ("x", "127.0.0.1", ["127.0.0.1"], True),
        ("x", "127.0.0.1", ["::1", "localhost"], False),
    ],
)
def test_the_setting_allows_more(
    host: str, address: str, entries: list[str], allowed: bool
) -> None:
    assert may_call(host, ip_address(address), entries) is allowed


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Makes every name resolve to these."""

    def answer(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def found(host: str) -> list[str]:
    return [str(address) for address in asyncio.run(addresses_of(host, 80))]


def test_one_private_address_among_several_refuses_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving(monkeypatch, "8.8.8.8", "8.8.4.4", "8.8.8.8")
    assert found("x") == ["8.8.8.8", "8.8.4.4"]
    resolving(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(HostRefused):
        found("x")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0", "::1"]
)
def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(HostRefused, match="has no public address"):
        found(host)


def test_a_host_that_is_not_there_looks_like_one_that_is_private(
    monkeypatch: pytest.MonkeyPatch, set_settings: SetSettings
) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    resolving(monkeypatch, "10.0.0.7")
    with pytest.raises(HostRefused) as private:
        found("db.internal")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(HostRefused) as missing:
        found("db.internal")
    assert str(private.value) == str(missing.value)
    assert "10.0.0.7" not in str(private.value)
