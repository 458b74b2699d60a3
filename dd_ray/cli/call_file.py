"""The file of a training: the JSON of the two calls that create a service and train it.

Two forms are read. Either the two bodies, as they were sent to `PUT /services/{name}` and
`POST /train`:

    {"service": {"name": "wine", "mllib": ..., "parameters": ..., "model": ...},
     "train": {"parameters": ..., "data": [...]}}

or everything in one object, `parameters` once:

    {"service": "wine", "mllib": ..., "parameters": ..., "model": ..., "data": [...]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dd_ray.cli.paths import absolute, found_in

_CREATION = ("mllib", "type", "description", "model", "parameters")
_TRAINING = ("parameters", "data")


class BadCallFile(Exception):
    """The file cannot be read or does not hold the calls; the message names it and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What is needed to create a service and to train it."""

    service: str
    creation: Mapping[str, Any] | None
    """Body of `PUT /services/{name}`; None in a file that trains a service that is there."""
    training: Mapping[str, Any] | None
    """Body of `POST /train`, always asynchronous; None in a file that only creates."""

    @property
    def repository(self) -> str:
        model = self.creation.get("model") if self.creation else None
        found = model.get("repository") if isinstance(model, Mapping) else None
        return found if isinstance(found, str) else ""

    def at(self, folder: Path) -> Calls:
        """The same with paths that lie in `folder` made absolute, for a Ray that runs elsewhere."""
        calls = self
        if self.repository:
            calls = calls.with_repository(absolute(folder, self.repository))
        data = (self.training or {}).get("data")
        if not isinstance(data, list):
            return calls
        found = [found_in(folder, item) if isinstance(item, str) else item for item in data]
        return replace(calls, training={**(calls.training or {}), "data": found})

    def with_repository(self, path: str, **options: bool) -> Calls:
        """The same with another `model.repository`, and further options of `model`."""
        if self.creation is None:
            return self
        model = self.creation.get("model")
        kept = model if isinstance(model, Mapping) else {}
        model = {**kept, "repository": path, **options}
        return replace(self, creation={**self.creation, "model": model})


def read_calls(path: str, *, service: str = "", repository: str = "") -> Calls:
    """The calls in a file. `service` and `repository`, when given, stand above what it says."""
    try:
        content = json.loads(Path(path).read_text())
    except OSError as exc:
        raise BadCallFile(f"{path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise BadCallFile(f"{path} is not JSON: {exc}") from exc
    try:
        calls = parse_calls(content, service=service)
    except BadCallFile as exc:
        raise BadCallFile(f"{path}: {exc}") from exc
    return calls.with_repository(repository, create_repository=True) if repository else calls


def parse_calls(content: Any, *, service: str = "") -> Calls:
    """The calls in a file's JSON; raises BadCallFile."""
    if not isinstance(content, Mapping):
        raise BadCallFile("expected an object with the calls, got " + type(content).__name__)
    if isinstance(content.get("service"), Mapping) or "train" in content:
        return _two_calls(content, service)
    creation = {key: content[key] for key in _CREATION if key in content}
    training = {key: content[key] for key in _TRAINING if key in content}
    return _calls(
        [service, content.get("service")],
        creation if "mllib" in content else None,
        training if "data" in content else None,
    )


def _two_calls(content: Mapping[str, Any], service: str) -> Calls:
    creation, training = (_object(content, key) for key in ("service", "train"))
    names = [(call or {}).get(key) for call, key in ((creation, "name"), (training, "service"))]
    if not service and all(names) and names[0] != names[1]:
        raise BadCallFile(f"service.name is {names[0]!r} but train.service is {names[1]!r}")
    if creation is not None:
        creation = {key: value for key, value in creation.items() if key != "name"}
    return _calls([service, *names], creation, training)


def _calls(
    names: list[Any], creation: dict[str, Any] | None, training: dict[str, Any] | None
) -> Calls:
    name = next((name for name in names if name), None)
    if not isinstance(name, str):
        raise BadCallFile(
            "no name of a service, expected it in service.name, in train.service, in service"
            " itself, or with --service-name"
        )
    if creation is None and training is None:
        raise BadCallFile("no call, expected mllib (to create a service) or data (to train it)")
    if training is not None:
        training = {**training, "service": name, "async": True}
    return Calls(service=name, creation=creation, training=training)


def _object(content: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = content.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise BadCallFile(f"{key}: expected an object, got {type(value).__name__}")
    return None if value is None else dict(value)
