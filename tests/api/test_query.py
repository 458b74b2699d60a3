"""Query strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dd_ray.api.query import flag, integer, parse_query, seconds
from dd_ray.errors import BadRequest


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", {}),
        (b"a", {"a": ""}),
        (b"a=&b=1&a=2", {"a": "2", "b": "1"}),
        (b"service=caf%C3%A9", {"service": "café"}),
        ("service=café".encode(), {"service": "café"}),
        (b"service=a+b%2Bc", {"service": "a b+c"}),
        (b"x.y.z=1&x.y=2", {"x.y.z": "1", "x.y": "2"}),
        (b"a=b=c&&", {"a": "b=c"}),
        (b"a=%zz", {"a": "%zz"}),
    ],
)
def test_a_query_is_read(raw: bytes, query: dict[str, str]) -> None:
    assert parse_query(raw) == query


@pytest.mark.parametrize("raw", [b"service=%ff", b"service=\xff", b"%c3=1"])
def test_what_is_not_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        parse_query(raw)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("TRUE", True), ("1", True), ("False", False), ("0", False), ("", False)],
)
def test_a_flag(text: str, value: bool) -> None:
    assert flag({"x": text}, "x") is value
    assert flag({}, "x") is False


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-3", -3), (" 5", 5), ("+5", 5), ("1.9", 1), ("007", 7), ("", None), (" ", None)],
)
def test_an_integer(text: str, value: int | None) -> None:
    assert integer({"x": text}, "x") == value
    assert integer({}, "x") is None


@pytest.mark.parametrize("text", ["a", "1e3", "12_34", "-", "1.2.3", "²", "١", "9" * 19, "NaN"])
def test_what_is_no_integer_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^job: expected a number"):
        integer({"job": text}, "job")


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2.0), ("0.5", 0.5), (".5", 0.5), ("3.", 3.0), ("-1", 0.0), ("61", 60.0), ("", 0.0)],
)
def test_seconds(text: str, value: float) -> None:
    assert seconds({"x": text}, "x", most=60.0) == value


@pytest.mark.parametrize("text", ["soon", "inf", "nan", "1e3", "1_0", "."])
def test_what_are_no_seconds_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^timeout: expected seconds"):
        seconds({"timeout": text}, "timeout", most=60.0)


@given(st.binary(max_size=60), st.text(max_size=9))
def test_anything_is_read_or_refused(raw: bytes, text: str) -> None:
    for read in (
        lambda: parse_query(raw),
        lambda: flag({"x": text}, "x"),
        lambda: integer({"x": text}, "x"),
        lambda: seconds({"x": text}, "x", most=60.0),
    ):
        try:
            read()
        except BadRequest:
            continue
