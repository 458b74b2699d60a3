"""Names of services."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dd_ray.errors import BadRequest
from dd_ray.services.names import MAX_NAME, service_name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("MyServ", "myserv"),
        ("É_MAJ_😀", "É_maj_😀"),
        ("123", "123"),
        (" a b ", " a b "),
        (".", "."),
        ("a%2Fb", "a%2fb"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
        ("😀" * MAX_NAME, "😀" * MAX_NAME),
    ],
)
def test_only_ascii_is_lowered(raw: str, name: str) -> None:
    assert service_name(raw) == name


@pytest.mark.parametrize("raw", ["", "x" * (MAX_NAME + 1), "a/b", "/", "a\n", "\0", "\x7f", "\x85"])
def test_other_names_are_refused(raw: str) -> None:
    with pytest.raises(BadRequest, match=r"^service: a name has"):
        service_name(raw)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(BadRequest):
        service_name("a\ud800")


@given(st.text(max_size=MAX_NAME + 2))
def test_a_name_is_its_own_name(raw: str) -> None:
    try:
        name = service_name(raw)
    except BadRequest:
        return
    assert service_name(name) == name
    assert len(name) == len(raw)
    assert name.encode().lower() == raw.encode().lower()
