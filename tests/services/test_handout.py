"""A final report goes to one client, whatever happens on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dd_ray.services.handout import Answer, Handout, ask, confirm, release

LEASE_S = 5.0


def asked(handout: Handout, request: str, now: float = 0.0) -> tuple[Handout, Answer]:
    return ask(handout, request, now=now, lease_s=LEASE_S)


def test_the_second_waits_for_the_first_and_finds_nothing() -> None:
    first, answer = asked(Handout(), "a")
    assert answer is Answer.GIVEN
    assert asked(first, "b") == (first, Answer.WAIT)
    assert asked(confirm(first, "a"), "b")[1] is Answer.GONE
    assert asked(confirm(first, "a"), "a")[1] is Answer.GONE


def test_the_next_gets_what_the_first_could_not_deliver() -> None:
    first, _ = asked(Handout(), "a")
    assert asked(release(first, "a"), "b")[1] is Answer.GIVEN


def test_the_next_gets_what_the_first_never_confirmed() -> None:
    first, _ = asked(Handout(), "a", now=0)
    assert asked(first, "b", now=LEASE_S - 0.1)[1] is Answer.WAIT
    second, answer = asked(first, "b", now=LEASE_S)
    assert (second.holder, answer) == ("b", Answer.GIVEN)
    assert confirm(second, "a") == second
    assert release(second, "a") == second


def test_the_same_request_may_come_again() -> None:
    first, _ = asked(Handout(), "a")
    assert asked(first, "a", now=1.0)[1] is Answer.GIVEN


def test_a_late_word_of_the_only_holder_counts() -> None:
    first, _ = asked(Handout(), "a", now=0)
    assert confirm(first, "a").taken


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "confirm", "release", "wait"]), st.sampled_from("abc"))
    )
)
def test_at_any_time_at_most_one_has_it(steps: list[tuple[str, str]]) -> None:
    handout, now, taken_by = Handout(), 0.0, None
    holders: dict[str, float] = {}
    for what, who in steps:
        match what:
            case "ask":
                handout, answer = asked(handout, who, now)
                if answer is Answer.GIVEN:
                    assert taken_by is None
                    holders = {who: now + LEASE_S}
                else:
                    assert taken_by is not None or any(until > now for until in holders.values())
            case "confirm":
                handout = confirm(handout, who)
                if who in holders and taken_by is None:
                    taken_by = who
            case "release":
                handout = release(handout, who)
                if taken_by is None:
                    holders.pop(who, None)
            case _:
                now += LEASE_S / 2
        assert handout.taken == (taken_by is not None)
