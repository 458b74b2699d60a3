"""Handing out a final report exactly once, to a client that may be gone before it arrives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Answer(StrEnum):
    """What a request for the report is told."""

    GIVEN = "given"
    WAIT = "wait"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """Who has the report: nobody, a request that has not confirmed it until a time, or a client."""

    holder: str = ""
    until: float = 0.0
    taken: bool = False


def ask(handout: Handout, request: str, *, now: float, lease_s: float) -> tuple[Handout, Answer]:
    """Asking for the report. The request that holds it may come again; others wait for it.

    >>> first, answer = ask(Handout(), "a", now=0, lease_s=5)
    >>> answer, ask(first, "b", now=1, lease_s=5)[1], ask(first, "b", now=5, lease_s=5)[1]
    (<Answer.GIVEN: 'given'>, <Answer.WAIT: 'wait'>, <Answer.GIVEN: 'given'>)
    """
    if handout.taken:
        return handout, Answer.GONE
    if handout.holder not in ("", request) and now < handout.until:
        return handout, Answer.WAIT
    return replace(handout, holder=request, until=now + lease_s), Answer.GIVEN


def confirm(handout: Handout, request: str) -> Handout:
    """The holder's client has it. Only the last holder's word counts."""
    return replace(handout, taken=True) if handout.holder == request else handout


def release(handout: Handout, request: str) -> Handout:
    """The holder's client was gone: the next request gets the report."""
    if handout.taken or handout.holder != request:
        return handout
    return replace(handout, holder="", until=0.0)
