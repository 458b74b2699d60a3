"""Base64 as clients write it."""

from __future__ import annotations

import base64

import pytest

from dd_ray.connectors.image_base64 import from_base64

CONTENT = bytes(range(200, 256)) * 3 + b"\xfb\xff"
PLAIN = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.encodebytes(CONTENT).decode(),
        PLAIN[:76] + "\r\n" + PLAIN[76:] + "\r\n",
        base64.urlsafe_b64encode(CONTENT).decode(),
        "data:image/jpeg;base64," + PLAIN,
        "data:image/svg+xml;charset=utf-8;base64," + PLAIN,
        "\n DATA:;base64," + base64.urlsafe_b64encode(CONTENT).decode().rstrip("="),
    ],
)
def test_every_way_to_write_it(text: str) -> None:
    assert "/" in PLAIN
    assert "+" in PLAIN
    assert PLAIN.endswith("=")
    assert from_base64(text) == CONTENT


@pytest.mark.parametrize(
    "text",
    [
        "cat.jpg",
        "A",
        "AB=C",
        "data:image/png,AAAA",
        "AAAA;base64,AAAA",
        "héééé",
        "\ud800",
    ],
)
def test_what_is_not_base64(text: str) -> None:
    assert from_base64(text) is None
