"""Reading and parsing bodies."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dd_ray.api.body import service_of, unpack
from dd_ray.errors import BadRequest, TooLarge
from dd_ray.services.call import parse_call
from dd_ray.settings import settings

PACKERS = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    " GZip ": gzip.compress,
    "deflate": zlib.compress,
}


def unpacked(body: bytes, encoding: str = "", *, size: int = 7, limit: int = 1000) -> bytes:
    """What comes of a body that arrives in chunks of a size."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    return asyncio.run(unpack(chunks(), encoding, limit=limit))


@given(st.sampled_from(sorted(PACKERS)), st.binary(max_size=1000), st.integers(1, 1200))
def test_a_body_arrives_whole_however_it_is_cut(encoding: str, body: bytes, size: int) -> None:
    assert unpacked(PACKERS[encoding](body), encoding, size=size) == body


@pytest.mark.parametrize("encoding", sorted(PACKERS))
def test_the_limit_counts_what_is_unpacked(encoding: str) -> None:
    pack = PACKERS[encoding]
    assert len(unpacked(pack(b" " * 1000), encoding)) == 1000
    with pytest.raises(TooLarge, match="longer than 1000 bytes"):
        unpacked(pack(b" " * 1001), encoding)


def test_a_bomb_is_refused_before_it_is_read() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    read = []

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(bomb), 100):
            read.append(start)
            yield bomb[start : start + 100]

    with pytest.raises(TooLarge):
        asyncio.run(unpack(chunks(), "gzip", limit=1000))
    assert len(read) < 3


def test_a_chunk_that_is_a_bomb_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(TooLarge):
        unpacked(bomb, "gzip", size=len(bomb))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "gzipped", "zstd", "*"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(BadRequest, match=r"expected gzip or deflate"):
        unpacked(b"{}", encoding)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_broken_stream_is_refused(pack: Any) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    whole = pack(b'{"service":"s"}')
    for broken in (b"", whole[:-1], whole + b"x", whole + whole, b"{}", whole[:4] + b"\0" + whole):
        with pytest.raises(BadRequest):
            unpacked(broken, encoding)


def test_the_json_is_passed_on_as_it_came() -> None:
    raw = b' {"service": "s", "x": 1.0, "x": 2} '
    assert parse_call(raw) == ({"service": "s", "x": 2}, raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "line 1 column 1"),
        (b"{", "line 1"),
        (b'{\n"a":1,}', "line 2 column 6"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1} x', "not JSON"),
        (b'{"a":/**/1}', "not JSON"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\\ud800"}', "not JSON"),
        ('{"a":1}'.encode("utf-16"), "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "an array, expected a JSON object"),
        (b'"s"', "a string"),
        (b"null", "null"),
        (b"true", "a boolean"),
        (b"1", "a number"),
    ],
)
def test_what_is_no_call_is_refused_with_the_place(raw: bytes, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        parse_call(raw)


def test_depth_is_limited_and_length_is_not() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    most = settings().max_nesting
    assert parse_call(nested(most))
    with pytest.raises(BadRequest, match=f"more than {most} objects"):
        parse_call(nested(most + 1))
    assert parse_call(b'{"a":[' + b"[]," * 500 + b'"[[[["]}')


def test_nan_and_infinity_are_null() -> None:
    call, raw = parse_call(b'{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN"}')
    assert call == {"a": None, "b": [None, None], "c": "NaN"}
    assert orjson.loads(raw) == call


@pytest.mark.parametrize(
    "value",
    [b'"\\ud800"', b'"\xed\xa0\x80"', b"9" * 30, b"9" * 5000, b"[" * 5000, b"'a'", b"nan"],
)
def test_nan_lets_nothing_in_that_could_not_be_written_again(value: bytes) -> None:
    with pytest.raises(BadRequest, match="not JSON"):
        parse_call(b'{"a":NaN,"b":' + value + b"}")


Json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), Json))
def test_what_is_read_can_be_written(call: dict[str, Any]) -> None:
    parsed, raw = parse_call(json.dumps(call).encode())
    assert orjson.loads(orjson.dumps(parsed)) == parsed == orjson.loads(raw)


@pytest.mark.parametrize(
    ("call", "got"),
    [
        ({}, "nothing"),
        ({"service": None}, "nothing"),
        ({"service": 1}, "a number"),
        ({"service": True}, "a boolean"),
        ({"service": ["s"]}, "an array"),
        ({"service": {}}, "an object"),
    ],
)
def test_the_service_is_a_string(call: dict[str, Any], got: str) -> None:
    with pytest.raises(BadRequest, match=f"^service: .*got {got}$"):
        service_of(call)
