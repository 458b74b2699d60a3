"""Networks made quicker to predict with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dd_ray.mllibs.torch.fusion import by_pixel, fused
from dd_ray.templates.build import build
from dd_ray.templates.spec import Options, Shape
from dd_ray.templates.table import TEMPLATES


def network_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = build(TEMPLATES.find(name), Shape(channels=3, height=64, width=64), 3, Options())
    network.train()
    with torch.no_grad():
        network(torch.randn(8, 3, 64, 64))  # so that the normalizations have seen something
    return network.eval()


@pytest.mark.parametrize("name", ["resnet_10", "mobilenet_v2", "googlenet", "se_resnet_50", "nin"])
def test_the_outputs_stay(name: str) -> None:
    network = network_of(name)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(images)
        found = fused(by_pixel(network))(images)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_the_normalizations_are_gone() -> None:
    network = network_of("resnet_10")
    quicker = fused(network)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quicker.modules())


def test_what_cannot_be_traced_stays() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x) if x.sum() > 0 else x

    odd = Odd()
    assert fused(odd) is odd
    plain = nn.Linear(2, 2)
    assert fused(plain) is plain
