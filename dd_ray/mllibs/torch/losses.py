"""What a network minimises, and what its outputs mean, by task."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from dd_ray.data import Floats, Output, Reconstructions, Scores, Values
from dd_ray.mllibs.torch.task import Task

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""A mean over the batch out of network outputs and targets."""


def _l1(outputs_ND: torch.Tensor, targets_ND: torch.Tensor) -> torch.Tensor:
    return functional.l1_loss(outputs_ND, targets_ND)


def _smooth_l1(outputs_ND: torch.Tensor, targets_ND: torch.Tensor) -> torch.Tensor:
    return functional.smooth_l1_loss(outputs_ND, targets_ND)


def _mse(outputs_ND: torch.Tensor, targets_ND: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(outputs_ND, targets_ND)


def _euclidean(outputs_ND: torch.Tensor, targets_ND: torch.Tensor) -> torch.Tensor:
    """Caffe's EuclideanLoss: half of the squared distance, a mean over examples."""
    return functional.mse_loss(outputs_ND, targets_ND, reduction="sum") / (2 * len(outputs_ND))


def _sigmoid(outputs_ND: torch.Tensor, targets_ND: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(outputs_ND, targets_ND)


REGRESSION_LOSSES: dict[str, Loss] = {
    "l1": _l1,
    "smooth_l1": _smooth_l1,
    "mse": _mse,
    "euclidean": _euclidean,
    "sigmoid": _sigmoid,
}


def loss_of(
    task: Task,
    *,
    regression: str = "mse",
    class_weights: Sequence[float] | None = None,
    ignore_label: int | None = None,
    device: torch.device | None = None,
) -> Loss:
    """The loss of a task; `regression` names a row of REGRESSION_LOSSES."""
    match task:
        case Task.CLASSIFICATION:
            weights = None
            if class_weights is not None:
                weights = torch.tensor(class_weights, dtype=torch.float32, device=device)
            return _cross_entropy(weights, -100 if ignore_label is None else ignore_label)
        case Task.MULTI_LABEL | Task.SOFT_LABELS:
            return _binary_cross_entropy
        case Task.AUTOENCODER:
            return _sigmoid
        case Task.REGRESSION:
            return REGRESSION_LOSSES[regression]


def _cross_entropy(weights_C: torch.Tensor | None, ignored: int) -> Loss:
    """Weighted mean of -log softmax at the target; a batch of ignored targets alone costs 0."""

    def loss(logits_NC: torch.Tensor, targets_N1: torch.Tensor) -> torch.Tensor:
        targets_N = targets_N1[:, 0].long()
        counted_N = targets_N != ignored
        total = functional.cross_entropy(
            logits_NC, targets_N, weights_C, ignore_index=ignored, reduction="sum"
        )
        weight = counted_N if weights_C is None else weights_C[targets_N.clamp(min=0)] * counted_N
        return total / weight.sum().clamp(min=1e-12)

    return loss


def _binary_cross_entropy(logits_NC: torch.Tensor, targets_NC: torch.Tensor) -> torch.Tensor:
    """Mean over the cells whose target is not negative, which says nothing."""
    known_NC = targets_NC >= 0
    each_NC = functional.binary_cross_entropy_with_logits(
        logits_NC, targets_NC.clamp(min=0), reduction="none"
    )
    return (each_NC * known_NC).sum() / known_NC.sum().clamp(min=1)


def output_of(
    task: Task, outputs: Floats, inputs: Floats | None, *, temperature: float = 1.0, loss: str = ""
) -> Output:
    """What network outputs [N, ...] say. `inputs` [N, ...] are those of an autoencoder."""
    match task:
        case Task.CLASSIFICATION:
            return Scores(probs_NC=_softmax(outputs / temperature), logits_NC=outputs)
        case Task.MULTI_LABEL:
            return Scores(
                probs_NC=_logistic(outputs / temperature), multi_label=True, logits_NC=outputs
            )
        case Task.SOFT_LABELS:
            return Values(values_ND=_logistic(outputs), soft_labels=True)
        case Task.REGRESSION:
            return Values(values_ND=_logistic(outputs) if loss == "sigmoid" else outputs)
        case Task.AUTOENCODER:
            assert inputs is not None
            return _reconstructions(outputs.reshape(len(outputs), -1), inputs)


def _reconstructions(logits_NV: Floats, inputs: Floats) -> Reconstructions:
    inputs_NV = inputs.reshape(len(inputs), -1)
    # log(1 + e^x) - x t is the cross entropy of the logistic of x with t
    each_NV = np.logaddexp(0, logits_NV) - logits_NV * inputs_NV
    return Reconstructions(
        outputs_NV=_logistic(logits_NV), inputs_NV=inputs_NV, losses_N=each_NV.mean(axis=1)
    )


def _softmax(logits_NC: Floats) -> Floats:
    shifted_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    result: Floats = shifted_NC / shifted_NC.sum(axis=1, keepdims=True)
    return result


def _logistic(values: Floats) -> Floats:
    result: Floats = 0.5 * (1 + np.tanh(0.5 * values))
    return result
