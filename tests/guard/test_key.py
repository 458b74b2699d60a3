"""The API key."""

from __future__ import annotations

import base64
import inspect

import pytest
import requests

from dd_ray.errors import Unauthorized
from dd_ray.guard import key as module
from dd_ray.guard.key import check_key, has_key

KEY = "0123456789abcdef"


def header(value: str | bytes) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", value.encode() if isinstance(value, str) else value)]


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    "value",
    [f"Bearer {KEY}", f"bearer  {KEY} ", basic("", KEY), basic("dd", KEY), f" BEARER {KEY}"],
)
def test_the_key_lets_in(value: str) -> None:
    check_key([(b"host", b"x"), *header(value)], KEY)


@pytest.mark.parametrize(
    "value",
    [
        *("", "Bearer", "Bearer ", KEY, f"Bearer {KEY[:-1]}", f"Bearer {KEY}x", f"Token {KEY}"),
        *(f"Bearer {KEY.upper()}", f"Bearer{KEY}", basic(KEY, ""), basic(KEY, "x"), "Basic !!"),
        *("Basic ", f"Basic {KEY}", b"Bearer \xff\xfe", b"\0", f"Bearer {KEY}, Bearer x"),
    ],
)
def test_anything_else_does_not(value: str | bytes) -> None:
    with pytest.raises(Unauthorized, match="Authorization: Bearer"):
        check_key(header(value), KEY)


def test_no_header_and_two_headers_do_not() -> None:
    for headers in ([], header(f"Bearer {KEY}") * 2, [(b"x-authorization", b"Bearer x")]):
        with pytest.raises(Unauthorized):
            check_key(headers, KEY)


def test_without_a_key_none_is_asked_for() -> None:
    check_key([], "")
    check_key(header("Bearer whatever"), "")


def test_keys_are_compared_in_constant_time() -> None:
    source = inspect.getsource(module)
    assert "hmac.compare_digest(" in source
    assert "==" not in source.replace("!=", "").split("def has_key")[1]


def test_clients_that_set_no_header_put_the_key_into_the_url() -> None:
    """dd_client builds its URLs as `http://{host}:{port}` and calls them with requests."""
    sent = requests.Request("GET", f"http://dd:{KEY}@localhost:8080/info").prepare()
    assert has_key(str(sent.headers["Authorization"]).encode(), KEY)
