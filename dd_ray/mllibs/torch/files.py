"""Names and reading of the files that hold a network: weights, solver state, traced models."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from dd_ray.errors import BadParameter, LibraryError
from dd_ray.guard.paths import check
from dd_ray.mllibs.torch.caffe_files import CAFFE_ONLY, is_ours
from dd_ray.mllibs.torch.script_check import check_script
from dd_ray.repository import ModelFiles, Repository, Save


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFiles:
    """How an mllib names its files, and what it calls them in messages."""

    weights: ModelFiles
    state: ModelFiles
    state_word: str
    """`solverstate` or `.solverstate`: the original's messages differ."""


TRACED_MODEL = ModelFiles(prefix="checkpoint-", suffix=".pt")
HEAD = ModelFiles(prefix="checkpoint-", suffix=".ptw")
"""Weights of the linear layer that a finetuning puts after a TorchScript model."""


def traced_model(repository: Repository) -> Path | None:
    """The newest TorchScript model of a repository: the last checkpoint, else one put there."""
    numbered = repository.models(TRACED_MODEL)
    if numbered:
        return numbered[-1][1]
    states = ModelFiles(prefix="solver-", suffix=".pt")
    given = [
        path
        for path in sorted(repository.path.glob("*.pt"))
        if path.is_file() and states.number(path.name) is None
    ]
    return given[-1] if given else None


def state_dict_of(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """The weights in what a file holds, also where a training framework wrapped them."""
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise BadParameter(f"{path}: no weights of a network, expected a state_dict")
    return {re.sub(r"^module\.", "", name): value for name, value in content.items()}


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The state_dict in a file of PyTorch or safetensors; raises BadParameter."""
    check(path, "a model of the repository")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as exc:
            raise BadParameter(f"{path}: {exc}") from exc
    return state_dict_of(read_file(path), path)


def read_file(path: Path) -> Any:
    """What torch.save wrote, without running code from it; raises BadParameter."""
    check(path, "a model of the repository")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise BadParameter(f"{path}: no such file") from exc
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as exc:
        raise BadParameter(f"{path}: {_reason(path, exc)}") from exc


def _reason(path: Path, error: Exception) -> str:
    if path.suffix == ".caffemodel" and not is_ours(path):
        return CAFFE_ONLY
    if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(path):
        return "holds more than tensors: save it again as a state_dict"
    return f"not a file of PyTorch ({str(error).splitlines()[0][:200]})"


def saving(content: Any) -> Save:
    """Writes with torch.save; a disk that is full is an OSError, whatever torch makes of it."""

    def save(file: BinaryIO) -> None:
        with _as_os_error():
            torch.save(content, file)

    return save


@contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except RuntimeError as exc:
        raise OSError(None, str(exc).splitlines()[0]) from exc


def load_weights(
    network: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path, *, skip: str = ""
) -> None:
    """Puts weights into a network, except those of the layer `skip`; raises BadParameter.

    With `skip`, weights that the network has no place for are left out too: those of another head.
    """
    own = network.state_dict()
    wanted = {
        name
        for name in own
        if not (skip and name.startswith(f"{skip}."))
        and (name in weights or not name.endswith("num_batches_tracked"))  # older than PyTorch 0.4
    }
    for name in sorted(wanted & weights.keys()):
        if own[name].shape != weights[name].shape:
            raise BadParameter(
                f"{path} does not fit: {name} is {list(weights[name].shape)}, but the network of"
                f" these parameters has {list(own[name].shape)} (other nclasses, ntargets, layers"
                " or input size; parameters.mllib.finetuning makes a new last layer)"
            )
    missing = sorted(wanted - weights.keys())
    surplus = [] if skip else sorted(weights.keys() - own.keys())
    if missing:
        raise BadParameter(f"{path} does not fit the network: it has no {missing[0]}")
    if surplus:
        raise BadParameter(f"{path} does not fit the network, which has no {surplus[0]}")
    network.load_state_dict({name: weights[name] for name in wanted}, strict=False)


def saving_traced(script: Any) -> Save:
    """Writes a TorchScript model."""

    def save(file: BinaryIO) -> None:
        with warnings.catch_warnings(), _as_os_error():
            warnings.simplefilter("ignore", FutureWarning)
            torch.jit.save(script, file)

    return save


def load_traced(path: Path, device: torch.device) -> Any:
    """A TorchScript model; raises LibraryError."""
    check(path, "a model of the repository")
    check_script(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # deprecated, but DeepDetect's format
            return torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as exc:
        raise LibraryError(
            f"cannot read {path} as a TorchScript model: {str(exc).splitlines()[0][:200]}"
        ) from exc
