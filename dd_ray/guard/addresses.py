"""Which hosts the URLs of calls may name: public ones, and those of DD_RAY_ALLOWED_HOSTS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpx
import psutil

from dd_ray.settings import settings

Address = IPv4Address | IPv6Address

_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""IPv6 addresses that end in an IPv4 address, which is where they lead."""


class HostRefused(httpx.ConnectError):
    """A host without a public address, or without any: which of the two is not told."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the host {host!r:.100} has no public address; an operator may allow others"
            " (DD_RAY_ALLOWED_HOSTS)"
        )


async def addresses_of(host: str, port: int) -> list[Address]:
    """All addresses of a host, each of which may be called; raises HostRefused.

    One that may not is enough to refuse them all: a name that means several machines at once is
    how others than the checked one are reached.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise HostRefused(host) from exc
    addresses = [ip_address(str(entry[4][0])) for entry in found]
    hosts = settings().allowed_hosts
    if not addresses or not all(may_call(host, address, hosts) for address in addresses):
        raise HostRefused(host)
    return list(dict.fromkeys(addresses))


def may_call(host: str, address: Address, hosts: Sequence[str] = ()) -> bool:
    """Whether a host that has resolved to an address may be called; `hosts` are allowed anyhow.

    >>> private = ip_address("10.1.2.3")
    >>> may_call("x", private), may_call("x", private, ("10.0.0.0/8",))
    (False, True)
    >>> may_call("db.lan", private, (".lan",)), may_call("elan", private, (".lan",))
    (True, False)
    """
    name = host.lower().rstrip(".")
    for entry in hosts:
        network = _network(entry)
        if network is not None:
            if _meant(address) in network or address in network:
                return True
        elif name == entry.lower() or (entry.startswith(".") and name.endswith(entry.lower())):
            return True
    return is_public(address) and str(address) not in _own()


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet.

    >>> [is_public(ip_address(a)) for a in ("8.8.8.8", "169.254.169.254", "::ffff:127.0.0.1")]
    [True, False, False]
    """
    meant = _meant(address)
    if isinstance(meant, IPv6Address) and (meant.is_site_local or meant.teredo is not None):
        return False
    return meant.is_global and not (meant.is_multicast or meant.is_reserved)


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _TRANSLATED) and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _own() -> frozenset[str]:
    """The addresses of this machine: what listens on a public one need not be open to the world."""
    every = psutil.net_if_addrs().values()
    return frozenset(entry.address.partition("%")[0] for entries in every for entry in entries)


@lru_cache(maxsize=64)
def _network(entry: str) -> Any:
    """The network that an entry of the setting is, None for a name."""
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None
