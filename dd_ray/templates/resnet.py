"""ResNets of DeepDetect that torchvision has under no name: `resnet_10` and `resnet_32`."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from dd_ray.templates.spec import Options, Shape
from dd_ray.templates.torchvision_zoo import fitted


def resnet_10(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """One block of two convolutions in each stage, as in DeepDetect's resnet_10_ssd."""
    return fitted(ResNet(BasicBlock, [1, 1, 1, 1], num_classes=outputs), shape, options)


def resnet_32(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """A ResNet-50 that ends after the first convolution of the third block of its third stage.

    DeepDetect's then pools 7x7 with stride 1, which fits 224x224 only; the pooling here is global.
    """
    network = ResNet(Bottleneck, [3, 4, 2, 1], num_classes=outputs)
    last = nn.Conv2d(1024, 256, 1, bias=False)
    nn.init.kaiming_normal_(last.weight, mode="fan_out", nonlinearity="relu")
    network.layer4 = nn.Sequential(last, nn.BatchNorm2d(256), nn.ReLU(inplace=True))
    network.fc = nn.Linear(256, outputs)
    return fitted(network, shape, options)
