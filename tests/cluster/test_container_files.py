"""The image and the compose file: their linters, and what dd-ray needs of them."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from dd_ray.cli.app import app
from dd_ray.settings import MIN_KEY, Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments"
DOCKERFILE = FOLDER / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Name and text of each instruction, with continued lines joined."""
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def texts(name: str) -> list[str]:
    return [text for found, text in instructions() if found == name]


def test_hadolint_has_nothing_to_say() -> None:
    command = [str(Path(sys.executable).parent / "hadolint"), str(DOCKERFILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_built_in_stages_and_runs_as_nobody_special() -> None:
    assert len(texts("FROM")) == 2
    assert texts("USER") == ["1000"]
    assert "useradd --uid 1000" in texts("RUN")[-1]


def test_the_image_starts_a_command_that_there_is() -> None:
    _, _, *words = json.loads(texts("ENTRYPOINT")[0])
    assert words == ["dd-ray"]
    command, *options = json.loads(texts("CMD")[0])
    commands = {found.name for found in app.registered_commands}
    assert command in commands
    assert options[:2] == ["--host", "0.0.0.0"]


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_both_variants_are_known(variant: str) -> None:
    (choice,) = [text for text in texts("RUN") if text.startswith("case")]
    script = re.sub(r"pip install[^;]*", "echo installs", choice)
    ran = subprocess.run(
        ["sh", "-c", script], env={"VARIANT": variant}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "installs\n" if variant == "cpu" else "")


def test_another_variant_is_refused() -> None:
    (choice,) = [text for text in texts("RUN") if text.startswith("case")]
    ran = subprocess.run(
        ["sh", "-c", choice], env={"VARIANT": "rocm"}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "expected cpu or cuda" in ran.stderr


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    kept = {pattern[1:] for pattern in ignored if pattern.startswith("!")}
    for text in texts("COPY"):
        *sources, _ = text.split()
        if sources[0].startswith("--from"):
            continue
        for source in sources:
            assert (ROOT / source).exists()
            assert any(fnmatch.fnmatch(source, pattern) for pattern in kept)


def compose(**env: str) -> dict[str, Any]:
    """The compose file with its variables filled in as compose does."""

    def fill(found: re.Match[str]) -> str:
        name, otherwise, text = found.groups()
        if name in env:
            return env[name]
        assert otherwise == "-", f"{name} is missing: {text}"
        return text

    text = re.sub(r"\$\{(\w+):([-?])([^}]*)\}", fill, (FOLDER / "compose.yaml").read_text())
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@pytest.fixture
def composed() -> dict[str, Any]:
    return compose(DD_RAY_API_KEY="k" * MIN_KEY)


def test_compose_accepts_its_file(composed: dict[str, Any]) -> None:
    PyCompose.from_json(json.dumps(composed)).validate()


def test_compose_starts_nothing_without_a_key() -> None:
    with pytest.raises(AssertionError, match="DD_RAY_API_KEY is missing"):
        compose()


@pytest.mark.parametrize("name", ["dd-ray", "dd-ray-gpu"])
def test_a_composed_server_is_of_this_image_and_has_settings(
    composed: dict[str, Any], name: str
) -> None:
    service = composed["services"][name]
    assert (FOLDER / service["build"]["context"]).resolve() == ROOT
    assert ROOT / service["build"]["dockerfile"] == DOCKERFILE
    variant = service["build"]["args"]["VARIANT"]
    assert service["image"] == f"dd-ray:{variant}"
    assert (variant == "cuda") == ("deploy" in service) == (service.get("profiles") == ["gpu"])
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    settings = Settings.from_env(service["environment"])
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in service["volumes"]}
    assert {str(root) for root in settings.roots} <= set(mounted)
    named = {source for source in mounted.values() if "/" not in source}
    assert named == set(composed["volumes"])
    home = re.search(r"DD_RAY_HOME=(\S+)", texts("ENV")[-1])
    assert home is not None
    assert home[1] in mounted
