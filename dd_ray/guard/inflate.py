"""Bodies out of their compression, as they come and never beyond a limit."""

from __future__ import annotations

import zlib

_WINDOW_BITS = {
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}


class Broken(ValueError):
    """The encoding is not one of ours, or the stream is not what it says."""


class TooLong(ValueError):
    """There is more than the limit."""


class Inflating:
    """One body in its encoding, `""` or `identity` for none; raises Broken for one not known."""

    def __init__(self, encoding: str, *, limit: int) -> None:
        self._encoding = encoding.strip().lower()
        if self._encoding not in ("", "identity", *_WINDOW_BITS):
            raise Broken(f"Content-Encoding: {self._encoding[:40]!r}, expected gzip or deflate")
        bits = _WINDOW_BITS.get(self._encoding)
        self._stream = None if bits is None else zlib.decompressobj(bits)
        self._left = limit
        self._limit = limit

    def add(self, chunk: bytes) -> bytes:
        """What a chunk holds; raises TooLong as soon as all of it is past the limit."""
        content = chunk if self._stream is None else self._inflated(chunk)
        self._left -= len(content)
        if self._left < 0:
            raise TooLong(f"longer than {self._limit} bytes")
        return content

    def end(self) -> None:
        """Raises Broken when there should have come more."""
        if self._stream is not None and not self._stream.eof:
            raise Broken(f"not a whole {self._encoding} stream")

    def _inflated(self, chunk: bytes) -> bytes:
        assert self._stream is not None
        try:
            content = self._stream.decompress(chunk, self._left + 1)
        except zlib.error as exc:
            raise Broken("it does not decompress") from exc
        if self._stream.unused_data:  # zlib would keep all that follows
            raise Broken("it goes on after the end of its compressed stream")
        return content
