"""Who takes the short way at the edge: whoever the API is sure to let in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.edges import Lab, lab, needs_haproxy

pytestmark = needs_haproxy

KEY = """0123 ,;:"'()%[]{}$\\#456"""


@pytest.fixture(scope="module")
def keyed() -> Iterator[Lab]:
    with lab(caller=f"Bearer {KEY}", any_name=True) as here:
        here.replica("s", headers={"Authorization": f"Bearer {KEY}"})
        yield here


@pytest.fixture(scope="module")
def keyless() -> Iterator[Lab]:
    with lab() as here:
        here.replica("s")
        yield here


def who(edge: Lab, headers: dict[str, str], path: str) -> object:
    return edge.call({"service": "s"}, headers=headers, path=path)[1]["who"]


PATHS = pytest.mark.parametrize("path", ["/predict", "/predict/s"])


@PATHS
@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY}x",
        f"Bearer  {KEY}",
        f"bearer {KEY}",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY.replace('4', '5')}",
    ],
)
def test_other_keys_are_for_the_api_to_judge(keyed: Lab, value: str, path: str) -> None:
    assert who(keyed, {"Authorization": value}, path) == "serve"
    assert who(keyed, {}, path) == "serve"


@PATHS
def test_the_key_takes_the_short_way_under_any_name(keyed: Lab, path: str) -> None:
    right = {"Authorization": f"Bearer {KEY}"}
    assert who(keyed, right, path) == "s-a"
    assert who(keyed, right | {"Host": "dd.example"}, path) == "s-a"


def test_two_keys_are_none(keyed: Lab) -> None:
    lines = ["POST /predict/s HTTP/1.1", "host: x", "content-length: 0", "connection: close"]
    right, wrong = f"authorization: Bearer {KEY}", "authorization: Bearer x"
    for given, expected in (
        ([right], b"s-a"),
        ([right, wrong], b"serve"),
        ([wrong, right], b"serve"),
        ([right, right], b"serve"),
    ):
        answer = b"".join(keyed.raw("\r\n".join([*lines, *given, "", ""]).encode()))
        assert b'"who": "%b"' % expected in answer


@PATHS
@pytest.mark.parametrize(
    "header", [("Origin", "http://127.0.0.1"), ("Origin", "null"), ("Sec-Fetch-Site", "none")]
)
def test_web_pages_are_for_the_api_to_judge(
    keyed: Lab, keyless: Lab, header: tuple[str, str], path: str
) -> None:
    assert who(keyless, dict([header]), path) == "serve"
    assert who(keyed, {"Authorization": f"Bearer {KEY}"} | dict([header]), path) == "serve"


@PATHS
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", "s-a"),
        ("localhost:8080", "s-a"),
        ("10.0.0.1", "s-a"),
        ("[::1]:8080", "s-a"),
        ("evil.example", "serve"),
        ("127.0.0.1.evil.example", "serve"),
        ("evil.localhost", "serve"),
        ("evil127.0.0.1", "serve"),
        ("localhost.evil.example:80", "serve"),
        ("127.0.0.1:80:evil.example", "serve"),
        ("0x7f000001", "serve"),
        ("", "serve"),
    ],
)
def test_without_a_key_only_addresses_take_the_short_way(
    keyless: Lab, host: str, expected: str, path: str
) -> None:
    """A name may be anybody's, who leads a browser here with it."""
    assert who(keyless, {"Host": host}, path) == expected


def test_a_key_that_nobody_asked_for_is_no_hindrance(keyless: Lab) -> None:
    assert who(keyless, {"Authorization": "Bearer x"}, "/predict") == "s-a"
