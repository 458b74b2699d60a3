"""The documents name all that is there, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dd_ray.cli.settings import table
from dd_ray.connectors.image import _WITHOUT_EFFECT
from dd_ray.connectors.table import CONNECTORS
from dd_ray.measures.table import MEASURES
from dd_ray.mllibs.table import MLLIBS
from dd_ray.mllibs.torch.caffe_params import CaffeParams
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.mllibs.torch.schedule_params import POLICIES
from dd_ray.mllibs.torch.solver_params import SolverParams
from dd_ray.mllibs.torch.solver_types import SOLVER_TYPES
from dd_ray.settings import Settings
from dd_ray.templates.table import TEMPLATES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NETWORKS = (ROOT / "docs" / "networks.md").read_text()
ALL = "".join(path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))


def code(text: str) -> set[str]:
    """The words between back-ticks."""
    return {word for each in re.findall(r"`([^`\n]+)`", text) for word in each.split()}


def section(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (README, [spec.name for spec in MLLIBS]),
        (README, [spec.name for spec in CONNECTORS]),
        (README, ["acc-k" if spec.name == "acc" else spec.name for spec in MEASURES]),
        (section(NETWORKS, "Templates"), [spec.name for spec in TEMPLATES]),
        (section(NETWORKS, "Solvers"), [spec.name for spec in SOLVER_TYPES]),
        (section(NETWORKS, "Solvers"), [spec.name for spec in POLICIES]),
        (section(NETWORKS, "Accepted, without effect"), TorchParams().meaningless()),
        (section(NETWORKS, "Accepted, without effect"), _WITHOUT_EFFECT),
    ],
)
def test_all_that_is_there_is_named(text: str, names: list[str]) -> None:
    assert names
    assert not [name for name in names if name not in code(text)]


def test_what_only_caffe_accepts_is_named() -> None:
    named = code(section(NETWORKS, "Accepted, without effect"))
    names = [name for name in CaffeParams().meaningless() if not name.startswith("ssd_")]
    assert not [name for name in names if name not in named]
    assert "ssd_*" in named


def test_options_of_solvers_that_are_named_are_there() -> None:
    named = code(section(NETWORKS, "Solvers"))
    words = {word for word in named if re.fullmatch(r"[a-z]+(_[a-z]+)*", word)}
    there = {*SolverParams.model_fields, *POLICIES.names()}
    assert words - there == {"python"}


def test_every_template_that_is_named_is_there() -> None:
    rows = re.findall(r"^\| (`.*?`) ", section(NETWORKS, "Templates"), re.MULTILINE)
    named = code(" ".join(row.split(" | ")[0] for row in rows))
    assert len(rows) > 10
    assert not [name for name in named if TEMPLATES.find(name.strip("(),")) is None]


def test_every_setting_is_documented_as_it_is() -> None:
    assert table() in (ROOT / "docs" / "settings.md").read_text()


def test_every_setting_that_is_named_is_there() -> None:
    there = {f"DD_RAY_{name.upper()}" for name in Settings.model_fields}
    of_commands = {"DD_RAY_ADDRESS"}
    assert set(re.findall(r"DD_RAY_[A-Z_]+", ALL)) - there - of_commands == set()
