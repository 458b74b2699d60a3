"""Networks of a repository: built from a template or read as TorchScript, with their weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dd_ray.errors import BadParameter, LibraryError
from dd_ray.mllibs.torch.description import TRACED, Description
from dd_ray.mllibs.torch.files import (
    HEAD,
    TRACED_MODEL,
    NetworkFiles,
    load_traced,
    load_weights,
    read_weights,
    saving,
    saving_traced,
    traced_model,
)
from dd_ray.repository import ModelFiles, Repository, Save
from dd_ray.templates.build import build, output_layer
from dd_ray.templates.table import TEMPLATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network with what is known of it."""

    module: nn.Module
    description: Description
    files: NetworkFiles

    def parts(self) -> list[tuple[ModelFiles, Save]]:
        """The files of a checkpoint and what writes each; the one that is served comes last."""
        if isinstance(self.module, TracedNetwork):
            head = self.module.head
            own: list[tuple[ModelFiles, Save]] = [(TRACED_MODEL, saving_traced(self.module.script))]
            return own if head is None else [(HEAD, saving(head.state_dict())), *own]
        return [(self.files.weights, saving(self.module.state_dict()))]

    @property
    def model_files(self) -> ModelFiles:
        """How the file that is served is named."""
        return TRACED_MODEL if isinstance(self.module, TracedNetwork) else self.files.weights

    @property
    def head(self) -> str:
        """The name of the last layer: that which a finetuning makes anew."""
        if isinstance(self.module, TracedNetwork):
            return "head"
        return output_layer(self.module)[0]

    def freeze_all_but_head(self) -> None:
        self.module.requires_grad_(False)
        self.module.get_submodule(self.head).requires_grad_(True)


class TracedNetwork(nn.Module):
    """A TorchScript model, with a linear layer after it where a finetuning adds one.

    A tuple that it returns stands for its first element.
    """

    def __init__(self, script: Any, head: nn.Linear | None) -> None:
        super().__init__()
        self.script = script
        self.head = head

    def features(self, inputs: torch.Tensor, method: str = "") -> torch.Tensor:
        """What the TorchScript model says, [N, ...]; `method` is another one than forward."""
        call = getattr(self.script, method) if method else self.script
        outputs = call(inputs)
        features: torch.Tensor = outputs[0] if isinstance(outputs, tuple | list) else outputs
        return features

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        features = self.features(inputs)
        return features if self.head is None else self.head(features.flatten(1))


def new_network(description: Description, files: NetworkFiles) -> Network:
    """A network with random weights; raises BadParameter."""
    spec = TEMPLATES.find(description.template)
    module = build(
        spec, description.network_shape, description.outputs, description.network_options
    )
    return Network(module=module, description=description, files=files)


def start_from(network: Network, path: Path, *, finetuning: bool) -> None:
    """Takes weights over; with `finetuning` all but the last layer's. Raises BadParameter."""
    skip = network.head if finetuning else ""
    load_weights(network.module, read_weights(path), path, skip=skip)


def stored_network(
    repository: Repository, description: Description, files: NetworkFiles, path: Path | None = None
) -> Network:
    """The network of a repository with the weights at `path`, by default the newest.

    Raises LibraryError when there are none, BadParameter when they do not fit.
    """
    if description.template == TRACED:
        return _stored_traced(repository, description, files, path)
    path = path or repository.newest_model(files.weights)
    if path is None:
        raise LibraryError(f"no model in {repository.path}: train the service first")
    network = new_network(description, files)
    start_from(network, path, finetuning=False)
    return network


def traced_network(
    repository: Repository,
    description: Description,
    files: NetworkFiles,
    *,
    finetuning: bool,
    sample: torch.Tensor,
) -> Network:
    """A TorchScript model to train; with `finetuning` a new linear layer after it.

    `sample` is one input, from which the size of the model's output is learned.
    """
    network = _stored_traced(repository, description, files)
    module = network.module
    assert isinstance(module, TracedNetwork)
    if finetuning and module.head is None:
        try:
            with torch.no_grad():
                width = module.features(sample).flatten(1).shape[1]
        except RuntimeError as exc:
            raise BadParameter(f"the TorchScript model does not take this data: {exc}") from exc
        module.head = nn.Linear(width, description.outputs)
    return network


def _stored_traced(
    repository: Repository, description: Description, files: NetworkFiles, path: Path | None = None
) -> Network:
    path = path or traced_model(repository)
    if path is None:
        raise LibraryError(f"no TorchScript model in {repository.path}")
    script = load_traced(path, torch.device("cpu"))
    head = None
    head_path = path.with_suffix(HEAD.suffix)
    if head_path.is_file():
        weights = read_weights(head_path)
        outputs, inputs = weights["weight"].shape
        head = nn.Linear(inputs, outputs)
        load_weights(head, weights, head_path)
    return Network(module=TracedNetwork(script, head), description=description, files=files)
