"""Every template of the table: builds, learns, can be saved, says what its last layer is."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
import torch
from torch import nn

from dd_ray.templates.build import build, output_layer
from dd_ray.templates.spec import Options, Shape, TemplateSpec
from dd_ray.templates.table import TEMPLATES

OPTIONS = Options(vit_flavor="vit_tiny_patch16")

HEAVY = (
    *("vgg_16", "vgg11", "vgg13", "vgg19", "vgg13bn", "vgg16bn", "vgg19bn"),
    *("resnet_101", "resnet_152", "resnext101_32x8d", "wideresnet50_2", "wideresnet101_2"),
    *("se_resnet_101", "se_resnet_152", "se_resnext_101", "densenet161", "densenet201"),
)
"""Run on the meta device only, which has no memory; a smaller one of each family is run truly."""


def shape_of(spec: TemplateSpec, *, channels: int = 3, side: int = 0) -> Shape:
    if spec.inputs == "table":
        return Shape(features=5)
    return Shape(channels=channels, height=side or spec.height, width=side or spec.width)


def inputs(shape: Shape, device: str = "cpu") -> torch.Tensor:
    if shape.is_image:
        return torch.rand(2, shape.channels, shape.height, shape.width, device=device)
    return torch.rand(2, shape.features, device=device)


def sketch(spec: TemplateSpec, shape: Shape, options: Options = OPTIONS) -> nn.Module:
    """The network without memory: it computes shapes only."""
    with torch.device("meta"):
        return build(spec, shape, 3, options)


@pytest.fixture(
    scope="module", params=[s for s in TEMPLATES if s.name not in HEAVY], ids=lambda s: s.name
)
def smallest(request: pytest.FixtureRequest) -> tuple[nn.Module, TemplateSpec, Shape]:
    """A network for three classes and the smallest inputs that it takes."""
    spec = request.param
    shape = shape_of(spec, side=spec.smallest)
    torch.manual_seed(0)
    return build(spec, shape, 3, OPTIONS), spec, shape


def test_all_parameters_learn_from_two_small_examples(
    smallest: tuple[nn.Module, TemplateSpec, Shape],
) -> None:
    network, _, shape = smallest
    outputs = network.train()(inputs(shape))
    assert outputs.shape == (2, 3)
    nn.functional.cross_entropy(outputs, torch.tensor([0, 2])).backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    network.zero_grad()
    assert [name for name, g in gradients.items() if g is None or not g.isfinite().all()] == []


def test_a_saved_network_says_the_same(smallest: tuple[nn.Module, TemplateSpec, Shape]) -> None:
    network, spec, shape = smallest
    file = BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other = sketch(spec, shape)
    other.load_state_dict(torch.load(file, weights_only=True), assign=True)
    examples = inputs(shape)
    with torch.no_grad():
        assert torch.equal(network.eval()(examples), other.eval()(examples))


@pytest.fixture(scope="module", params=list(TEMPLATES), ids=lambda s: s.name)
def default(request: pytest.FixtureRequest) -> tuple[nn.Module, TemplateSpec]:
    """A sketch of the network for three classes and grey images of the template's own size."""
    spec = request.param
    return sketch(spec, shape_of(spec, channels=1)), spec


def test_the_output_layer_is_the_last_that_learns(default: tuple[nn.Module, TemplateSpec]) -> None:
    network, spec = default
    ran: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: ran.append(module))
        for module in network.modules()
        if next(module.parameters(recurse=False), None) is not None and not list(module.children())
    ]
    outputs = network(inputs(shape_of(spec, channels=1), "meta"))
    for hook in hooks:
        hook.remove()
    assert outputs.shape == (2, 3)
    name, layer = output_layer(network)
    assert layer is ran[-1] is network.get_submodule(name)
    assert layer.weight.shape[0] == 3


def test_any_size_tells_whether_a_network_takes_other_images(
    default: tuple[nn.Module, TemplateSpec],
) -> None:
    network, spec = default
    if spec.inputs == "table":
        pytest.skip("takes no images")
    other = inputs(shape_of(spec, channels=1, side=spec.width + 32), "meta")
    if spec.any_size:
        assert network(other).shape == (2, 3)
    else:
        with pytest.raises((RuntimeError, AssertionError)):
            network(other)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "name",
    [
        *("lenet", "cifar", "nin", "alexnet", "googlenet", "vgg_16", "vgg11bn"),
        *("squeezenet", "squeezenet1_0", "densenet121", "vit"),
    ],
)
def test_nothing_smaller_than_the_smallest_size_fits(name: str) -> None:
    spec = TEMPLATES.find(name)
    shape = shape_of(spec, side=spec.smallest - 1)
    with pytest.raises(Exception, match=r"too small|can't be greater|multiples of 16"):
        sketch(replace(spec, smallest=1), shape)(inputs(shape, "meta"))


@pytest.mark.parametrize("name", ["alexnet", "resnet_10", "squeezenet", "se_resnet_50", "vit"])
def test_images_with_four_channels(name: str) -> None:
    spec = TEMPLATES.find(name)
    shape = shape_of(spec, channels=4)
    assert sketch(spec, shape)(inputs(shape, "meta")).shape == (2, 3)


@pytest.mark.parametrize(
    "name", ["mlp", "convnet", "cifar", "resnet_10", "resnet_32", "squeezenet", "vit"]
)
def test_a_seed_gives_the_same_network(name: str) -> None:
    spec = TEMPLATES.find(name)
    shape = shape_of(spec, channels=1, side=32)
    torch.manual_seed(3)
    first = build(spec, shape, 2, OPTIONS).state_dict()
    torch.manual_seed(3)
    second = build(spec, shape, 2, OPTIONS).state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", ["resnet_18", "mobilenet_v2", "vgg11", "se_resnet_50", "vit"])
def test_networks_for_large_images_take_32x32(name: str) -> None:
    spec = TEMPLATES.find(name)
    shape = shape_of(spec, side=32)
    assert sketch(spec, shape)(inputs(shape, "meta")).shape == (2, 3)


def test_images_need_not_be_square() -> None:
    for name in ("convnet", "lenet", "cifar", "nin", "vit"):
        spec = TEMPLATES.find(name)
        shape = Shape(channels=3, height=64, width=96)
        assert sketch(spec, shape)(inputs(shape, "meta")).shape == (2, 3)
