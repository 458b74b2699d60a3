"""Networks on the rows of a table, dense or sparse: `lregression` and `mlp`."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from dd_ray.errors import BadParameter
from dd_ray.templates.blocks import SIZE, FullyConnected, fully_connected
from dd_ray.templates.spec import Options, Shape


def lregression(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """One linear layer. DeepDetect's own has mlp's hidden layer too, by mistake."""
    return nn.Sequential(OrderedDict(head=FullyConnected(shape.features, outputs)))


def mlp(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """Hidden layers of the sizes in `options.layers`, [50] by default, and a linear head."""
    sizes = [_size(text) for text in options.layers] or [50]
    parts = fully_connected(shape.features, sizes, options, dropout=0.0, prefix="ip")
    head = shape.features if options.autoencoder else outputs
    parts["head"] = FullyConnected(sizes[-1], head)
    return nn.Sequential(parts)


def _size(text: str) -> int:
    if not SIZE.fullmatch(text):
        raise BadParameter(
            f"parameters.mllib.layers: {text!r}, expected numbers of neurons from 1 to 999999"
        )
    return int(text)
