"""The solver: every type learns and resumes; what is around the rules."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import nn

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.solver import Solver, centralize
from dd_ray.mllibs.torch.solver_params import SolverParams, Solving
from dd_ray.mllibs.torch.solver_types import SOLVER_TYPES

torch.set_num_threads(1)

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"weight_decay": 0.01, "gradient_centralization": True, "clip": True},
    "lookahead": {"lookahead": True, "lookahead_steps": 4},
    "lr_dropout": {"lr_dropout": 0.6},
    "sgdr": {"lr_policy": "sgdr", "ncycles": 3, "warmup_iter": 3},
    "rectified": {"rectified": True},
    "adabelief": {"adabelief": True},
    "both": {"rectified": True, "adabelief": True, "lookahead": False},
}


def solving(**given: Any) -> Solving:
    return SolverParams.merge({"iterations": 20} | given).resolved({})


def network(seed: int = 0, outputs: int = 2) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs))


def loss_of(net: nn.Module, iteration: int = 0) -> torch.Tensor:
    """Of a small regression, on other examples in each iteration."""
    inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(iteration))
    targets = torch.stack([inputs[:, 0] - inputs[:, 1], inputs[:, 2]], dim=1)
    return nn.functional.mse_loss(net(inputs), targets)


def trained(net: nn.Module, solver: Solver, iterations: range) -> list[float]:
    """Trains; returns the learning rates."""
    rates = []
    for iteration in iterations:
        loss_of(net, iteration).backward()
        rates.append(solver.step(iteration))
    return rates


def stored(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it comes back from a file."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([w.detach().flatten() for w in net.parameters()])


@pytest.mark.parametrize("name", SOLVER_TYPES.names())
def test_every_type_learns_a_regression(name: str) -> None:
    """At ten times its usual rate, to be quick."""
    net = network()
    rate = 10 * SOLVER_TYPES.find(name).base_lr
    given = solving(solver_type=name, iterations=300, base_lr=rate)
    before = loss_of(net).item()
    trained(net, Solver(net, given), range(300))
    assert loss_of(net).item() < 0.1 * before


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", SOLVER_TYPES.names())
def test_a_resumed_training_is_exactly_the_unbroken_one(name: str, options: dict[str, Any]) -> None:
    given = solving(solver_type=name, **options)
    whole, broken = network(), network()
    trained(whole, Solver(whole, given), range(20))
    first = Solver(broken, given)
    trained(broken, first, range(9))
    second = Solver(broken, given)
    second.load_state_dict(stored(first.state_dict()))
    trained(broken, second, range(9, 20))
    assert torch.equal(weights(whole), weights(broken))


def test_without_its_state_a_training_goes_another_way() -> None:
    """The test above would see it."""
    whole, broken = network(), network()
    given = solving(solver_type="ADAM")
    trained(whole, Solver(whole, given), range(20))
    trained(broken, Solver(broken, given), range(9))
    trained(broken, Solver(broken, given), range(9, 20))
    assert not torch.equal(weights(whole), weights(broken))


def test_a_step_returns_its_rate_and_forgets_the_gradients() -> None:
    net = network()
    solver = Solver(net, solving(base_lr=0.4, warmup_lr=0.2, warmup_iter=2))
    assert trained(net, solver, range(4)) == pytest.approx([0.2, 0.3, 0.4, 0.4])
    assert all(w.grad is None for w in net.parameters())


def test_a_resumed_training_follows_the_new_call() -> None:
    """Rates are those of the call, not those of the state."""
    net = network()
    first = Solver(net, solving(solver_type="ADAM", base_lr=0.1))
    trained(net, first, range(3))
    second = Solver(net, solving(solver_type="ADAM", base_lr=0.0))
    second.load_state_dict(stored(first.state_dict()))
    before = weights(net)
    trained(net, second, range(3, 5))
    assert torch.equal(weights(net), before)


@pytest.mark.parametrize(
    "other", [{"solver_type": "SGD"}, {"solver_type": "ADAM", "lookahead": True}], ids=str
)
def test_the_state_of_another_solver_is_refused(other: dict[str, Any]) -> None:
    state = Solver(network(), solving(**other)).state_dict()
    with pytest.raises(BadParameter, match=r"its solver: .*, expected ADAM$"):
        Solver(network(), solving(solver_type="ADAM")).load_state_dict(state)


def test_the_state_of_another_network_is_refused() -> None:
    state = Solver(network(outputs=3), solving()).state_dict()
    with pytest.raises(BadParameter, match="the solver state does not fit, its shapes: "):
        Solver(network(), solving()).load_state_dict(state)


def test_frozen_weights_stay() -> None:
    net = network()
    net[0].requires_grad_(False)
    frozen, free = weights(net[0]), weights(net[2])
    trained(net, Solver(net, solving(weight_decay=0.1)), range(3))
    assert torch.equal(weights(net[0]), frozen)
    assert not torch.equal(weights(net[2]), free)


def test_a_network_without_weights_to_train_is_refused() -> None:
    with pytest.raises(BadParameter, match="no weights to train"):
        Solver(network().requires_grad_(False), solving())


@pytest.mark.parametrize("name", SOLVER_TYPES.names())
def test_a_weight_may_get_its_first_gradient_late(name: str) -> None:
    """It stays until then, weight decay or not."""
    net = network()
    solver = Solver(net, solving(solver_type=name, weight_decay=0.1, lookahead_steps=1))
    bias = net[2].bias.detach().clone()
    loss_of(net).backward()
    net[2].bias.grad = None
    solver.step(0)
    assert torch.equal(net[2].bias, bias)
    trained(net, solver, range(1, 3))
    assert not torch.equal(net[2].bias, bias)


def test_centralized_gradients_have_no_mean_in_any_output_unit() -> None:
    filters, bias = torch.randn(5, 3, 2, 2), torch.ones(5)
    before = filters.clone()
    centralize([filters, bias])
    assert filters.sum(dim=(1, 2, 3)).abs().max() < 1e-5
    assert (before - filters)[0].std() < 1e-6  # one number for the whole unit
    assert torch.equal(bias, torch.ones(5))


def dropped(keep: float, *, seed: int = 0, count: int = 1) -> torch.Tensor:
    """Weights that began at 0, after updates of 1 each where not dropped."""
    net = nn.Linear(100, 100, bias=False)
    nn.init.zeros_(net.weight)
    given = solving(base_lr=1.0, momentum=0.0, lr_dropout=keep)
    solver = Solver(net, given, seed=seed)
    for iteration in range(count):
        net.weight.grad = -torch.ones(100, 100)
        solver.step(iteration)
    return net.weight.detach()


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 1.0])
def test_lr_dropout_is_the_share_of_updates_kept(keep: float) -> None:
    moved = dropped(keep)
    assert set(moved.unique().tolist()) <= {0.0, 1.0}
    assert float(moved.mean()) == pytest.approx(keep, abs=0.02)


def test_lr_dropout_draws_anew_each_time_and_by_its_seed() -> None:
    assert float((dropped(0.5, count=2) == 1).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(dropped(0.5, seed=3), dropped(0.5, seed=3))
    assert not torch.equal(dropped(0.5, seed=3), dropped(0.5, seed=4))


def test_lr_dropout_leaves_the_momentum_alone() -> None:
    """The second update of any weight is 1 + 0.5, whether the first was dropped or not."""
    net = nn.Linear(50, 50, bias=False)
    nn.init.zeros_(net.weight)
    solver = Solver(net, solving(base_lr=1.0, momentum=0.5, lr_dropout=0.5))
    for iteration in range(2):
        net.weight.grad = -torch.ones(50, 50)
        solver.step(iteration)
    assert set(net.weight.unique().tolist()) == {0.0, 1.0, 1.5, 2.5}
