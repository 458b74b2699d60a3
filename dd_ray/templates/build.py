"""Building the network of a template, and finding its last layer."""

from __future__ import annotations

from typing import Any

from torch import nn

from dd_ray.errors import BadParameter
from dd_ray.registry import load
from dd_ray.templates.spec import Options, Shape, TemplateSpec


def build(spec: TemplateSpec, shape: Shape, outputs: int, options: Options) -> nn.Module:
    """The network of a template with random weights; raises BadParameter."""
    _check_inputs(spec, shape)
    if options.autoencoder and not spec.autoencoder:
        raise BadParameter(f"parameters.mllib.autoencoder: {spec.name} cannot be an autoencoder")
    network: Any = load(spec.build)(shape, outputs, options, **spec.arguments)
    network.output_name = spec.head
    assert isinstance(network, nn.Module)
    return network


def output_layer(network: nn.Module) -> tuple[str, nn.Module]:
    """Name and module of the layer that makes the outputs of a network from `build`."""
    marked: Any = network
    name: str = marked.output_name
    return name, network.get_submodule(name)


def _check_inputs(spec: TemplateSpec, shape: Shape) -> None:
    given = "image" if shape.is_image else "table"
    if given != spec.inputs:
        raise BadParameter(
            f"parameters.mllib.template: {spec.name} takes {_INPUTS[spec.inputs]},"
            f" not {_INPUTS[given]}"
        )
    if shape.is_image and min(shape.width, shape.height) < spec.smallest:
        raise too_small(spec.name, shape, spec.smallest)


_INPUTS = {"image": "images", "table": "rows of a table"}


def too_small(name: str, shape: Shape, smallest: int) -> BadParameter:
    """The error of images below the `smallest` width and height that a network takes."""
    return BadParameter(
        f"parameters.input.width and parameters.input.height: {shape.width}x{shape.height} is too"
        f" small for {name}, expected at least {smallest}x{smallest}"
    )
