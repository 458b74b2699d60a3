"""What a template refuses, and what its table says."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from dd_ray.errors import BadParameter
from dd_ray.templates.build import build
from dd_ray.templates.spec import Options, Shape
from dd_ray.templates.table import TEMPLATES


def built(name: str, shape: Shape, options: Options | None = None) -> torch.nn.Module:
    with torch.device("meta"):
        return build(TEMPLATES.find(name), shape, 2, options or Options())


def image(side: int) -> Shape:
    return Shape(channels=3, height=side, width=side)


def test_an_unknown_template_is_told_the_known_ones() -> None:
    with pytest.raises(BadParameter, match=r"failed to locate model template 'vgg99', .*mlp.*vit"):
        TEMPLATES.find("vgg99")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("resnet18", "resnet_18"),
        ("resnet152", "resnet_152"),
        ("vgg16", "vgg_16"),
        ("mobilenetv2", "mobilenet_v2"),
        ("squeezenet1_1", "squeezenet"),
        ("shufflenetv2_x1_0", "shufflenet"),
    ],
)
def test_names_of_the_torch_backend_are_aliases(alias: str, name: str) -> None:
    assert TEMPLATES.find(alias).name == name


def test_no_name_is_used_twice() -> None:
    names = [name for spec in TEMPLATES for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))


def test_a_table_template_refuses_images() -> None:
    with pytest.raises(BadParameter, match="mlp takes rows of a table, not images"):
        built("mlp", image(32))


def test_an_image_template_refuses_tables() -> None:
    with pytest.raises(BadParameter, match="resnet_18 takes images, not rows of a table"):
        built("resnet_18", Shape(features=4))


@pytest.mark.parametrize(("height", "width"), [(62, 227), (227, 62)])
def test_small_images_are_told_the_smallest_size(height: int, width: int) -> None:
    with pytest.raises(
        BadParameter,
        match=rf"input.width and parameters.input.height: {width}x{height} is too small for"
        " alexnet, expected at least 63x63",
    ):
        built("alexnet", Shape(channels=3, height=height, width=width))


def test_only_some_templates_are_autoencoders() -> None:
    with pytest.raises(BadParameter, match="lregression cannot be an autoencoder"):
        built("lregression", Shape(features=4), Options(autoencoder=True))


@pytest.mark.parametrize("name", ["alexnet", "nin", "squeezenet", "se_net"])
def test_a_rate_of_dropout_replaces_the_templates_own(name: str) -> None:
    def rates(options: Options) -> list[float]:
        network = built(name, image(63), options)
        own = [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)]
        return own or [network.drop_rate]

    assert 0.25 not in rates(Options())
    assert set(rates(Options(dropout=(0.25,)))) == {0.25}


def test_templates_without_dropout_get_none() -> None:
    network = built("se_resnet_50", image(32), Options(dropout=(0.5,)))
    assert network.drop_rate == 0
    assert not [
        m
        for m in built("resnet_18", image(32), Options(dropout=(0.5,))).modules()
        if isinstance(m, torch.nn.Dropout)
    ]


def test_rates_may_differ_from_layer_to_layer() -> None:
    network = built("alexnet", image(63), Options(dropout=(0.1, 0.2)))
    assert [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)] == [0.1, 0.2]


@pytest.mark.parametrize("name", ["alexnet", "nin", "se_net", "vit"])
def test_a_wrong_number_of_rates_is_refused(name: str) -> None:
    with pytest.raises(BadParameter, match=r"parameters\.mllib\.dropout: 3 rates, expected one"):
        built(name, image(64), Options(dropout=(0.1, 0.2, 0.3)))


def test_googlenet_answers_logits_in_training_too() -> None:
    network = built("googlenet", image(64)).train()
    assert isinstance(network(torch.rand(2, 3, 64, 64, device="meta")), torch.Tensor)


def test_solvers_are_deepdetects() -> None:
    resnet = TEMPLATES.find("resnet_50").solver
    assert (resnet["base_lr"], resnet["stepsize"], resnet["gamma"]) == (0.1, 320_000, 0.96)
    assert TEMPLATES.find("alexnet").batch_size == 256
    assert TEMPLATES.find("squeezenet").solver["lr_policy"] == "poly"


def test_each_row_imports_only_what_it_needs() -> None:
    script = """
import sys
import dd_ray.templates.table
assert "torch" not in sys.modules
import dd_ray.templates.mlp, dd_ray.templates.convnet, dd_ray.templates.lenet
import dd_ray.templates.cifar, dd_ray.templates.nin, dd_ray.templates.build
assert "torch" in sys.modules
assert not {"torchvision", "timm"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
