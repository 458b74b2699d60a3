"""An answer of the API before HTTP: status, head and body, and the envelope around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from dd_ray.errors import ApiError
from dd_ray.guard.messages import told

Delivered = Callable[[bool], Awaitable[None]]
"""Is told whether an answer was written to its client's connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call answers. `code` is the HTTP status."""

    code: int = 200
    msg: str = "OK"
    head: dict[str, Any] | None = None
    body: dict[str, Any] | None = None
    delivered: Delivered | None = None
    """Of an answer that is given once only."""

    def envelope(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"status": {"code": self.code, "msg": self.msg}}
        if self.head is not None:
            answer["head"] = self.head
        if self.body is not None:
            answer["body"] = self.body
        return answer


def created(*, head: dict[str, Any] | None = None, body: dict[str, Any] | None = None) -> Answer:
    return Answer(code=201, msg="Created", head=head, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """An answer as bytes, ready for HTTP."""

    code: int
    content: bytes
    media_type: str = "application/json"


def error_status(error: ApiError) -> dict[str, Any]:
    """The `status` object of an error, which is also what a failed job has under `Error`."""
    status: dict[str, Any] = {"code": error.status, "msg": error.msg}
    if error.dd_msg:
        status |= {"dd_code": error.dd_code, "dd_msg": told(error.dd_msg)}
    return status


def render(answer: Answer) -> Rendered:
    return Rendered(code=answer.code, content=dumps(answer.envelope()))


def render_error(error: ApiError, *, head: dict[str, Any] | None = None) -> Rendered:
    envelope: dict[str, Any] = {"status": error_status(error)}
    if head is not None:
        envelope["head"] = head
    return Rendered(code=error.status, content=dumps(envelope))


def dumps(value: Any) -> bytes:
    """Compact JSON; floats keep their fraction, NaN and infinities become null."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
