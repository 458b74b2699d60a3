"""What a repository's network is, kept beside its weights. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dd_ray.errors import LibraryError
from dd_ray.mllibs.torch.task import Task
from dd_ray.repository import NETWORK, Repository
from dd_ray.templates.spec import Options, Shape

TRACED = "traced"
"""Stands for a TorchScript model instead of a template."""


class Description(BaseModel):
    """Enough to build the network again, and to know what its outputs are."""

    model_config = ConfigDict(frozen=True)

    template: str
    options: dict[str, Any]
    shape: dict[str, int]
    outputs: int
    task: Task
    loss: str = ""
    """Of a regression: a logistic loss has logistic outputs."""
    crop_size: int = 0
    """Size to which images are cropped at their centre; 0 leaves them."""
    prefix: str = ""
    """What the names of its model files begin with."""

    @classmethod
    def of(cls, template: str, *, options: Options, shape: Shape, **given: Any) -> Description:
        return cls(template=template, options=asdict(options), shape=asdict(shape), **given)

    @property
    def network_shape(self) -> Shape:
        return Shape(**self.shape)

    @property
    def network_options(self) -> Options:
        return TypeAdapter(Options).validate_python(self.options)


def has_files(repository: Repository, *endings: str) -> bool:
    """Whether there is a file whose name has one of these endings."""
    return any(path.name.endswith(endings) for path in repository.path.iterdir() if path.is_file())


def read_description(repository: Repository) -> Description | None:
    """The description of a repository's network, None when there is none."""
    kept = repository.read(NETWORK)
    if kept is None:
        return None
    try:
        return Description.model_validate_json(kept)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise LibraryError(
            f"{repository.path / NETWORK}: {first['msg']}: delete the file or train again"
        ) from exc
