"""`mlp` and `lregression`: layers out of the call, dense and sparse rows."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch
from torch import nn

from dd_ray.errors import BadParameter
from dd_ray.templates.blocks import FullyConnected
from dd_ray.templates.build import build, output_layer
from dd_ray.templates.spec import Activation, Options, Shape
from dd_ray.templates.table import TEMPLATES

pytestmark = pytest.mark.filterwarnings("ignore:Sparse")


def mlp(options: Options, *, features: int = 7, outputs: int = 3) -> nn.Module:
    return build(TEMPLATES.find("mlp"), Shape(features=features), outputs, options)


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.children()]


def sizes(network: nn.Module) -> list[tuple[int, int]]:
    linear = [layer for layer in network.children() if isinstance(layer, nn.Linear)]
    return [(layer.in_features, layer.out_features) for layer in linear]


def test_one_layer_of_fifty_by_default() -> None:
    network = mlp(Options())
    assert sizes(network) == [(7, 50), (50, 3)]
    assert kinds(network) == ["FullyConnected", "ReLU", "FullyConnected"]


def test_layers_are_those_of_the_call() -> None:
    assert sizes(mlp(Options(layers=("20", "10")))) == [(7, 20), (20, 10), (10, 3)]


@pytest.mark.parametrize("token", ["0", "-5", "2.5", "1CR32", "L50", "", "1000000"])
def test_a_layer_that_is_no_number_is_named(token: str) -> None:
    with pytest.raises(BadParameter, match=rf"parameters\.mllib\.layers: '{token}', expected"):
        mlp(Options(layers=("20", token)))


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("relu", "ReLU"),
        ("prelu", "PReLU"),
        ("elu", "ELU"),
        ("sigmoid", "Sigmoid"),
        ("tanh", "Tanh"),
        ("swish", "SiLU"),
    ],
)
def test_activations(activation: Activation, kind: str) -> None:
    assert kinds(mlp(Options(layers=("4", "4"), activation=activation))).count(kind) == 2


def test_every_activation_has_a_module() -> None:
    for activation in get_args(Activation):
        mlp(Options(activation=activation))


def test_dropout_is_one_rate_or_one_a_layer() -> None:
    def rates(*dropout: float) -> list[float]:
        network = mlp(Options(layers=("4", "5", "6"), dropout=dropout))
        return [layer.p for layer in network.children() if isinstance(layer, nn.Dropout)]

    assert rates(0.5) == [0.5, 0.5, 0.5]
    assert rates(0.1, 0.0, 0.3) == [0.1, 0.3]


def test_a_wrong_number_of_rates_is_refused() -> None:
    with pytest.raises(BadParameter, match=r"dropout: 2 rates, .* one for each of 3"):
        mlp(Options(layers=("4", "5", "6"), dropout=(0.1, 0.2)))


def test_batch_normalization_comes_before_the_activation_and_instead_of_dropout() -> None:
    network = mlp(Options(layers=("4",), bn=True, dropout=(0.5,)))
    assert kinds(network) == ["FullyConnected", "BatchNorm1d", "ReLU", "FullyConnected"]


def test_an_autoencoder_answers_in_the_shape_of_its_input() -> None:
    network = mlp(Options(layers=("4", "2", "4"), autoencoder=True), features=9)
    assert sizes(network) == [(9, 4), (4, 2), (2, 4), (4, 9)]
    assert network(torch.rand(5, 9)).shape == (5, 9)
    assert output_layer(network)[1].out_features == 9


def test_logistic_regression_is_one_linear_layer() -> None:
    network = build(TEMPLATES.find("lregression"), Shape(features=7), 3, Options(layers=("50",)))
    assert sizes(network) == [(7, 3)]
    assert kinds(network) == ["FullyConnected"]


def test_weights_start_as_xaviers_and_biases_at_zero() -> None:
    torch.manual_seed(0)
    layer = FullyConnected(300, 100)
    bound = (6 / 400) ** 0.5
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()


@pytest.mark.parametrize("name", ["mlp", "lregression"])
def test_sparse_rows_give_what_dense_ones_give(name: str) -> None:
    torch.manual_seed(0)
    network = build(TEMPLATES.find(name), Shape(features=40), 3, Options(layers=("8", "8")))
    dense = torch.rand(6, 40) * (torch.rand(6, 40) > 0.8)
    outputs, gradients = [], []
    for rows in (dense, dense.to_sparse_csr()):
        network.zero_grad()
        outputs.append(network(rows))
        nn.functional.cross_entropy(outputs[-1], torch.tensor([0, 1, 2, 0, 1, 2])).backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    torch.testing.assert_close(outputs[0], outputs[1])
    assert len(gradients[0]) == len(list(network.parameters()))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_rows_without_values_give_the_bias() -> None:
    layer = FullyConnected(5, 2)
    nn.init.constant_(layer.bias, 3.0)
    assert layer(torch.zeros(4, 5).to_sparse_csr()).tolist() == [[3.0, 3.0]] * 4


def test_the_weight_lies_as_sparse_rows_need_it_after_a_step_and_a_load() -> None:
    layer = FullyConnected(6, 3)
    layer(torch.rand(4, 6)).sum().backward()
    torch.optim.Adam(layer.parameters()).step()
    other = copy.deepcopy(layer)
    other.load_state_dict(nn.Linear(6, 3).state_dict())
    assert layer.weight.t().is_contiguous()
    assert other.weight.t().is_contiguous()
