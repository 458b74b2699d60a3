"""`convnet`: convolutional networks with layers out of a call, such as 2CR32, 1CR64, 1000."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dd_ray.errors import BadParameter
from dd_ray.templates.blocks import ACTIVATIONS, SIZE, FullyConnected, fully_connected
from dd_ray.templates.build import too_small
from dd_ray.templates.spec import Options, Shape

_BLOCK = re.compile(rf"(?:([1-9]\d?)C|D)R({SIZE.pattern})")


def convnet(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """Blocks of convolutions, then fully connected layers; as DeepDetect's, with one difference.

    DeepDetect attaches the fully connected layers to the last convolution and leaves its pooling
    out, by mistake. Here they come after the pooling, as its documentation says.
    """
    tokens = options.layers or ("1000",)
    blocks = _blocks([token for token in tokens if not SIZE.fullmatch(token)])
    sizes = [int(token) for token in tokens if SIZE.fullmatch(token)]
    smallest = _smallest(blocks)
    if min(shape.height, shape.width) < smallest:
        raise too_small(f"convnet with layers {', '.join(tokens)}", shape, smallest)
    parts = _convolutions(shape.channels, blocks, options)
    channels = blocks[-1].filters if blocks else shape.channels
    if options.autoencoder:
        if sizes or not blocks:
            raise BadParameter(
                f"parameters.mllib.layers: {', '.join(tokens)} cannot be an autoencoder, expected"
                " XCRY and DRY, such as 1CR64, DR64, 1CR64"
            )
        parts["resize"] = _Resize(shape.height, shape.width)
        parts["head"] = _he(nn.Conv2d(channels, shape.channels, 1))
        return nn.Sequential(parts)
    parts["flatten"] = nn.Flatten()
    features = channels * _side(blocks, shape.height) * _side(blocks, shape.width)
    parts |= fully_connected(features, sizes, options, dropout=0.5, prefix="fc")
    parts["head"] = FullyConnected(sizes[-1] if sizes else features, outputs)
    return nn.Sequential(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """XCRY: X convolutions of 3x3 with Y filters, then a pooling; or DRY: one deconvolution."""

    convolutions: int
    """0 is a deconvolution."""
    filters: int
    pooled: bool
    """Not so after the first deconvolution: from there on convolutions are padded instead."""


def _blocks(tokens: Sequence[str]) -> list[_Block]:
    blocks: list[_Block] = []
    pooled = True
    for token in tokens:
        match = _BLOCK.fullmatch(token)
        if match is None:
            raise BadParameter(
                f"parameters.mllib.layers: {token!r}, expected XCRY for X convolutions of Y filters"
                " (2CR32), DRY for a deconvolution (DR32) or the size of a fully connected layer"
                " (1000)"
            )
        convolutions = int(match[1] or 0)
        pooled = pooled and convolutions > 0
        blocks.append(_Block(convolutions=convolutions, filters=int(match[2]), pooled=pooled))
    return blocks


def _convolutions(
    channels: int, blocks: Sequence[_Block], options: Options
) -> OrderedDict[str, nn.Module]:
    """Layers of all blocks, named as DeepDetect's; an autoencoder's last one has no activation."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    activation = ACTIVATIONS[options.activation]
    for index, block in enumerate(blocks):
        name = f"ip{index}"
        if not block.convolutions:
            parts[name] = _he(nn.ConvTranspose2d(channels, block.filters, 2, stride=2))
            parts[f"{name}_act"] = activation()
        for number in range(block.convolutions):
            conv = f"{name}_conv_{number}"
            inputs = block.filters if number else channels
            padding = 0 if block.pooled else 1
            parts[conv] = _he(nn.Conv2d(inputs, block.filters, 3, padding=padding))
            if options.bn:
                parts[f"{conv}_bn"] = nn.BatchNorm2d(block.filters)
            parts[f"{conv}_act"] = activation()
        if block.pooled:
            parts[name] = nn.MaxPool2d(2, ceil_mode=True)  # Caffe rounds up
        channels = block.filters
    if options.autoencoder and blocks and blocks[-1].convolutions and not blocks[-1].pooled:
        parts.popitem()
    return parts


def _he(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class _Resize(nn.Module):
    """Resizes images [N, C, H, W] to one size, with linear interpolation."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(images, self.size, mode="bilinear", align_corners=False)


def _side(blocks: Sequence[_Block], side: int) -> int:
    """The height, or the width, after the blocks."""
    for block in blocks:
        if block.pooled:
            side = (side - 2 * block.convolutions + 1) // 2
        elif not block.convolutions:
            side *= 2
    return side


def _smallest(blocks: Sequence[_Block]) -> int:
    """The smallest height and width of which the pooled blocks leave one pixel."""
    side = 1
    for block in reversed(blocks):
        if block.pooled:
            side = 2 * side - 1 + 2 * block.convolutions
    return side
