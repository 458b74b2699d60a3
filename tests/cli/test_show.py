"""What commands print."""

from __future__ import annotations

import json

import pytest

from dd_ray.cli.show import cell, print_json, print_table


def test_a_table_in_a_pipe_cuts_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    long = "/models/" + "x" * 500
    print_table(("name", "path"), [("wine", long), ("[red]", "b")], none="")
    printed = capsys.readouterr().out
    assert printed.replace(" ", "").replace("\n", "").count("x") == 500
    assert "[red]" in printed


def test_a_long_list_is_shown_by_its_first_values_and_its_length() -> None:
    assert cell([1] * 20) == " ".join(["1"] * 20)
    assert cell([1] * 21) == " ".join(["1"] * 20) + " ... (21)"


def test_an_empty_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [], none="no services")
    assert capsys.readouterr().out == "no services\n"


def test_values_from_a_server_cannot_control_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("name",), [("wi\x1b[2J\rne",), (["\x07"],), ({"a": "\x1b"},)], none="")
    assert not {"\x1b", "\r", "\x07"} & set(capsys.readouterr().out)


def test_json_is_one_line_of_utf_8(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "café", "text": "a\nb"})
    printed = capsys.readouterr().out
    assert printed == '{"name": "café", "text": "a\\nb"}\n'
    assert json.loads(printed)["text"] == "a\nb"
