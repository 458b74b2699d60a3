"""Networks with squeeze and excitation (arXiv 1709.01507), from timm."""

from __future__ import annotations

import timm
from torch import nn

from dd_ray.templates.spec import Options, Shape


def squeeze_excite(
    shape: Shape, outputs: int, options: Options, *, network: str, dropout: float = 0.0
) -> nn.Module:
    """timm's network of that name with random weights.

    `dropout` is the template's own rate, 0 where it has no dropout; then it gets none.
    """
    if dropout:
        (dropout,) = options.dropout_rates(1, default=dropout)
    module: nn.Module = timm.create_model(
        network, pretrained=False, in_chans=shape.channels, num_classes=outputs, drop_rate=dropout
    )
    return module
