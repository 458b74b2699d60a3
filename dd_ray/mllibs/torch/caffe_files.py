"""Telling files of Caffe itself from ours, which have the same names. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from dd_ray.repository import Repository

CAFFE_ONLY = (
    "a model of Caffe, which cannot be read here: convert its weights to PyTorch and give them as"
    " model.weights, or train again with a template in an empty repository"
)


def is_ours(path: Path) -> bool:
    """Whether torch.save wrote it, a zip file, rather than Caffe."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def holds_caffe_only(repository: Repository) -> bool:
    """Whether a repository has a network of Caffe and none of ours."""
    models = list(repository.path.glob("*.caffemodel"))
    foreign = any(not is_ours(path) for path in models)
    return foreign or (not models and any(repository.path.glob("*.prototxt")))
