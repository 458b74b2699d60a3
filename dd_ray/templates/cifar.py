"""`cifar`: a small network for images of 32x32, Caffe's `cifar10_full`."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from dd_ray.templates.spec import Options, Shape


def cifar(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """Three convolutions of 5x5, each with a pooling, and a linear head."""
    pixels = (shape.height // 8) * (shape.width // 8)  # each pooling halves them, rounded down
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(shape.channels, 32, 5, padding=2),
            pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),
            relu1=nn.ReLU(),
            norm1=_WithinChannelNorm(),
            conv2=nn.Conv2d(32, 32, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.AvgPool2d(3, stride=2, ceil_mode=True),
            norm2=_WithinChannelNorm(),
            conv3=nn.Conv2d(32, 64, 5, padding=2),
            relu3=nn.ReLU(),
            pool3=nn.AvgPool2d(3, stride=2, ceil_mode=True),
            flatten=nn.Flatten(),
            head=nn.Linear(64 * pixels, outputs),
        )
    )


class _WithinChannelNorm(nn.Module):
    """Local response normalization over 3x3 pixels of a channel (Caffe's LRN, WITHIN_CHANNEL).

    torch's own normalizes across channels.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        energy = nn.functional.avg_pool2d(images.square(), 3, stride=1, padding=1)
        return images * (1 + 5e-5 * energy) ** -0.75
