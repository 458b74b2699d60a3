"""`lenet`: the network of LeCun et al. 1998 for digits, as in Caffe's MNIST example."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from dd_ray.templates.spec import Options, Shape


def lenet(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """Two convolutions and a hidden layer of 500."""
    sides = [_side(side) for side in (shape.height, shape.width)]
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(shape.channels, 20, 5),
            pool1=nn.MaxPool2d(2, ceil_mode=True),
            conv2=nn.Conv2d(20, 50, 5),
            pool2=nn.MaxPool2d(2, ceil_mode=True),
            flatten=nn.Flatten(),
            ip1=nn.Linear(50 * sides[0] * sides[1], 500),
            relu1=nn.ReLU(),
            head=nn.Linear(500, outputs),
        )
    )


def _side(side: int) -> int:
    """The height, or the width, after two convolutions and poolings, which round up."""
    for _ in range(2):
        side = (side - 4 + 1) // 2
    return side
