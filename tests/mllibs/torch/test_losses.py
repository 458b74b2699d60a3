"""Losses, and what network outputs mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from dd_ray.data import Reconstructions, Scores, Values
from dd_ray.mllibs.torch.losses import REGRESSION_LOSSES, loss_of, output_of
from dd_ray.mllibs.torch.task import Task

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3)).astype(np.float32)
CLASSES = np.array([0, 1, 2, 2, 1, 0])


def loss(task: Task, outputs: np.ndarray, targets: np.ndarray, **given: object) -> float:
    compute = loss_of(task, **given)  # type: ignore[arg-type]
    targets = targets.astype(np.float32)
    return float(compute(torch.from_numpy(outputs), torch.from_numpy(targets)))


def test_classification_is_the_log_loss_of_scikit_learn() -> None:
    found = loss(Task.CLASSIFICATION, LOGITS, CLASSES[:, None])
    scores = output_of(Task.CLASSIFICATION, LOGITS, None)
    assert isinstance(scores, Scores)
    assert found == pytest.approx(log_loss(CLASSES, scores.probs_NC), rel=1e-5)
    np.testing.assert_allclose(scores.probs_NC.sum(axis=1), 1, rtol=1e-6)


def test_class_weights_are_those_of_a_weighted_mean() -> None:
    weights = [1.0, 0.1, 3.0]
    found = loss(Task.CLASSIFICATION, LOGITS, CLASSES[:, None], class_weights=weights)
    scores = output_of(Task.CLASSIFICATION, LOGITS, None)
    assert isinstance(scores, Scores)
    sample_weight = np.array(weights)[CLASSES]
    expected = log_loss(CLASSES, scores.probs_NC, sample_weight=sample_weight)
    assert found == pytest.approx(expected, rel=1e-5)


def test_an_ignored_label_counts_nowhere() -> None:
    found = loss(Task.CLASSIFICATION, LOGITS, CLASSES[:, None], ignore_label=2)
    kept = CLASSES != 2
    assert found == pytest.approx(loss(Task.CLASSIFICATION, LOGITS[kept], CLASSES[kept][:, None]))
    assert loss(Task.CLASSIFICATION, LOGITS, np.full((6, 1), 2), ignore_label=2) == 0


def test_multi_label_ignores_negative_targets() -> None:
    targets = np.array([[1, 0, -1]] * 6)
    found = loss(Task.MULTI_LABEL, LOGITS, targets)
    p = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    expected = -np.mean([np.log(p[:, 0]), np.log(1 - p[:, 1])])
    assert found == pytest.approx(expected, rel=1e-5)
    output = output_of(Task.MULTI_LABEL, LOGITS, None)
    assert isinstance(output, Scores)
    assert output.multi_label
    np.testing.assert_allclose(output.probs_NC, p, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("l1", 1.5), ("mse", 2.5), ("euclidean", 2.5), ("smooth_l1", 1.0)],
)
def test_regression_losses(name: str, expected: float) -> None:
    """Differences 1 and 2 of one example with two targets."""
    found = loss(Task.REGRESSION, np.float32([[1.0, 2.0]]), np.zeros((1, 2)), regression=name)
    assert found == pytest.approx(expected)


def test_a_logistic_regression_loss_has_logistic_outputs() -> None:
    assert set(REGRESSION_LOSSES) == {"l1", "smooth_l1", "mse", "euclidean", "sigmoid"}
    output = output_of(Task.REGRESSION, np.float32([[0.0]]), None, loss="sigmoid")
    assert isinstance(output, Values)
    assert output.values_ND.tolist() == [[0.5]]
    plain = output_of(Task.REGRESSION, np.float32([[3.0]]), None, loss="mse")
    assert isinstance(plain, Values)
    assert plain.values_ND.tolist() == [[3.0]]


def test_temperature_softens_and_keeps_the_order() -> None:
    sharp = output_of(Task.CLASSIFICATION, LOGITS, None)
    soft = output_of(Task.CLASSIFICATION, LOGITS, None, temperature=5.0)
    assert isinstance(sharp, Scores)
    assert isinstance(soft, Scores)
    assert (soft.probs_NC.max(axis=1) < sharp.probs_NC.max(axis=1)).all()
    assert (soft.probs_NC.argmax(axis=1) == sharp.probs_NC.argmax(axis=1)).all()


def test_an_autoencoder_has_the_loss_of_each_example() -> None:
    inputs = RNG.uniform(size=(4, 5)).astype(np.float32)
    logits = RNG.normal(size=(4, 5)).astype(np.float32)
    output = output_of(Task.AUTOENCODER, logits, inputs)
    assert isinstance(output, Reconstructions)
    together = loss(Task.AUTOENCODER, logits, inputs)
    assert output.losses_N.mean() == pytest.approx(together, rel=1e-5)
    assert output.outputs_NV.shape == output.inputs_NV.shape == (4, 5)
