"""`nin`: Network in Network (arXiv 1312.4400), the ImageNet version of Caffe's model zoo."""

from __future__ import annotations

from torch import nn

from dd_ray.templates.spec import Options, Shape


def nin(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """Convolutions, each followed by two of 1x1; the mean over the last maps is the output.

    The original has a ReLU before that mean, which would keep the outputs of a regression from
    being negative, and so is left out.
    """
    (rate,) = options.dropout_rates(1, default=0.5)
    network = nn.Sequential(
        *_block(nn.Conv2d(shape.channels, 96, 11, stride=4)),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        *_block(nn.Conv2d(96, 256, 5, padding=2)),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        *_block(nn.Conv2d(256, 384, 3, padding=1)),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Dropout(rate),
        *_block(nn.Conv2d(384, 1024, 3, padding=1))[:-2],
    )
    network.add_module("head", nn.Conv2d(1024, outputs, 1))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    return network


def _block(conv: nn.Conv2d) -> list[nn.Module]:
    filters = conv.out_channels
    layers: list[nn.Module] = [conv, nn.ReLU()]
    for _ in range(2):
        layers += [nn.Conv2d(filters, filters, 1), nn.ReLU()]
    return layers
