"""`convnet`: blocks of convolutions out of texts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dd_ray.errors import BadParameter
from dd_ray.templates.build import build, output_layer
from dd_ray.templates.spec import Options, Shape
from dd_ray.templates.table import TEMPLATES


def convnet(
    *layers: str,
    channels: int = 3,
    height: int = 32,
    width: int = 32,
    **given: object,
) -> nn.Module:
    shape = Shape(channels=channels, height=height, width=width)
    return build(TEMPLATES.find("convnet"), shape, 2, Options(layers=layers, **given))


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.children()]


def test_convolutions_are_pooled_then_fully_connected() -> None:
    network = convnet("2CR8", "1CR16", "30", dropout=(0.0,))
    assert kinds(network) == [
        *["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"],
        *["Conv2d", "ReLU", "MaxPool2d"],
        *["Flatten", "FullyConnected", "ReLU", "FullyConnected"],
    ]
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 2)


def test_the_fully_connected_layers_come_after_the_pooling() -> None:
    network = convnet("1CR8", "30", height=10, width=14)
    assert network.get_submodule("fc0").in_features == 8 * 4 * 6


def test_a_fully_connected_layer_of_a_thousand_by_default() -> None:
    network = convnet(height=4, width=4)
    assert network.get_submodule("fc0").out_features == 1000


def test_without_fully_connected_layers_the_head_follows_the_convolutions() -> None:
    network = convnet("1CR8")
    assert kinds(network) == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "FullyConnected"]


def test_dropout_is_half_by_default_and_after_fully_connected_layers_only() -> None:
    network = convnet("1CR8", "30", "20")
    assert [layer.p for layer in network.children() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    assert kinds(network).index("Dropout") > kinds(network).index("Flatten")


def test_a_wrong_number_of_rates_is_refused() -> None:
    with pytest.raises(BadParameter, match=r"parameters\.mllib\.dropout: 2 rates"):
        convnet("1CR8", "30", dropout=(0.1, 0.2))


def test_batch_normalization_is_everywhere() -> None:
    network = convnet("2CR8", "30", bn=True)
    assert kinds(network).count("BatchNorm2d") == 2
    assert kinds(network).count("BatchNorm1d") == 1
    assert kinds(network).count("Dropout") == 0


def test_activations_are_those_of_the_call() -> None:
    network = convnet("2CR8", "30", activation="prelu")
    assert kinds(network).count("PReLU") == 3
    assert kinds(network).count("ReLU") == 0


@pytest.mark.parametrize("token", ["CR8", "0CR8", "1CR0", "1CR", "UR8", "L50", "2cr8", "1CR8x", ""])
def test_a_bad_layer_is_named(token: str) -> None:
    with pytest.raises(BadParameter, match=rf"parameters\.mllib\.layers: '{token}', expected XCRY"):
        convnet("1CR8", token)


@pytest.mark.parametrize(
    ("layers", "smallest"), [(("1CR4",), 3), (("2CR4", "1CR4"), 9), (("1CR4",) * 3, 15)]
)
def test_small_images_are_told_the_size_that_the_layers_need(
    layers: tuple[str, ...], smallest: int
) -> None:
    network = convnet(*layers, height=smallest, width=smallest)
    assert network(torch.rand(2, 3, smallest, smallest)).shape == (2, 2)
    with pytest.raises(BadParameter, match=rf"{', '.join(layers)}.* least {smallest}x{smallest}"):
        convnet(*layers, height=smallest, width=smallest - 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_autoencoder_answers_in_the_shape_of_its_input(channels: int) -> None:
    layers = ("1CR8", "1CR16", "DR16", "1CR8", "DR8", "1CR4")
    network = convnet(*layers, channels=channels, height=28, width=20, autoencoder=True)
    images = torch.rand(2, channels, 28, 20)
    outputs = network(images)
    assert outputs.shape == images.shape
    nn.functional.binary_cross_entropy_with_logits(outputs, images).backward()
    assert all(p.grad is not None for p in network.parameters())
    name, layer = output_layer(network)
    assert (name, layer.out_channels) == ("head", channels)


def test_after_a_deconvolution_nothing_is_pooled_and_the_last_activation_is_left_out() -> None:
    network = convnet("1CR8", "DR8", "1CR4", "1CR2", autoencoder=True)
    assert kinds(network) == [
        *["Conv2d", "ReLU", "MaxPool2d", "ConvTranspose2d", "ReLU"],
        *["Conv2d", "ReLU", "Conv2d", "_Resize", "Conv2d"],
    ]
    padding = [layer.padding for layer in network.children() if isinstance(layer, nn.Conv2d)]
    assert padding == [(0, 0), (1, 1), (1, 1), (0, 0)]


@pytest.mark.parametrize("layers", [(), ("1000",), ("1CR8", "DR8", "10")])
def test_an_autoencoder_has_no_fully_connected_layers(layers: tuple[str, ...]) -> None:
    with pytest.raises(BadParameter, match=r"layers: .* cannot be an autoencoder, expected XCRY"):
        convnet(*layers, autoencoder=True)


def test_a_deconvolution_can_stand_in_a_classifier() -> None:
    network = convnet("1CR8", "DR8", "1CR4", "10", height=8, width=8)
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 2)


def test_convolutions_start_as_hes() -> None:
    torch.manual_seed(0)
    weight = convnet("1CR64").get_submodule("ip0_conv_0").weight
    assert weight.std().item() == pytest.approx((2 / 27) ** 0.5, rel=0.05)
