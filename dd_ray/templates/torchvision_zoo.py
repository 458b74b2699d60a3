"""Networks of torchvision, fitted to the channels, outputs and dropout of a call."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import get_model

from dd_ray.templates.spec import Options, Shape


def torchvision_network(
    shape: Shape, outputs: int, options: Options, *, network: str, **arguments: Any
) -> nn.Module:
    """torchvision's network of that name with random weights; `arguments` are its own."""
    return fitted(
        get_model(network, weights=None, num_classes=outputs, **arguments), shape, options
    )


def fitted(network: nn.Module, shape: Shape, options: Options) -> nn.Module:
    """A network of torchvision with the channels and the dropout rates asked for."""
    _fit_channels(network, shape.channels)
    if options.dropout is not None:
        layers = [module for module in network.modules() if isinstance(module, nn.Dropout)]
        rates = options.dropout_rates(len(layers), default=0.0)
        for layer, rate in zip(layers, rates, strict=True):
            layer.p = rate
    return network


def _fit_channels(network: nn.Module, channels: int) -> None:
    """Replaces the first convolution when it takes another number of channels."""
    name, first = next(
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    )
    if first.in_channels == channels:
        return
    conv: Any = first
    new = nn.Conv2d(
        channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        bias=conv.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    network.set_submodule(name, new)
