"""What measures are computed on: each kind of output with its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Floats, Ints, Output, Reconstructions, Scores, Vectors
from dd_ray.errors import LibraryError
from dd_ray.measures import classification


@dataclass(frozen=True, slots=True)
class Labelled:
    """Scores [N, C] with the true classes [N], and what several measures share."""

    scores_NC: Floats
    targets_N: Ints
    counts_CC: Ints
    labels: tuple[str, ...]
    logits_NC: Floats | None = None


@dataclass(frozen=True, slots=True)
class MultiLabelled:
    """Probabilities [N, C] of classes that may apply together, with targets [N, C]."""

    probs_NC: Floats
    targets_NC: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paired:
    """Values [N, D] with targets [N, D]."""

    values_ND: Floats
    targets_ND: Floats
    by_output: bool = True
    """Whether each of several outputs has a measure of its own too."""
    soft_labels: bool = False
    """Whether a target is the degree to which a class applies; a negative one says nothing."""

    @property
    def known_ND(self) -> NDArray[np.bool_]:
        """The cells that count."""
        if self.soft_labels:
            return self.targets_ND >= 0
        return np.ones(self.targets_ND.shape, dtype=bool)


Measurable = Labelled | MultiLabelled | Paired


def measurable(
    output: Output, targets_NT: NDArray[np.float64], class_names: Sequence[str]
) -> Measurable:
    """An output with its targets [N, T]; raises LibraryError for targets that cannot be."""
    match output:
        case Scores(multi_label=True):
            _check_width(output.probs_NC, targets_NT)
            return MultiLabelled(output.probs_NC, targets_NT)
        case Scores():
            return _labelled(output, targets_NT, class_names)
        case Reconstructions():
            return Paired(output.outputs_NV, output.inputs_NV, by_output=False)
        case Vectors():
            raise LibraryError("what an inner layer computes cannot be measured")
        case _:
            _check_width(output.values_ND, targets_NT)
            return Paired(output.values_ND, targets_NT, soft_labels=output.soft_labels)


def _labelled(
    scores: Scores, targets_NT: NDArray[np.float64], class_names: Sequence[str]
) -> Labelled:
    scores_NC = scores.probs_NC
    classes = scores_NC.shape[1]
    targets_N = targets_NT[:, 0].astype(np.int64)
    if targets_N.min() < 0:
        raise LibraryError(
            "negative supervised discrete target (e.g. wrong use of label_offset ?):"
            f" {targets_N.min()}"
        )
    if targets_N.max() >= classes:
        raise LibraryError(
            f"target class has id {targets_N.max()}, which is not below the number of classes"
            f" {classes} (e.g. wrong number of classes specified with nclasses)"
        )
    labels = tuple(class_names[i] if i < len(class_names) else str(i) for i in range(classes))
    counts_CC = classification.confusion(scores_NC, targets_N)
    return Labelled(scores_NC, targets_N, counts_CC, labels, scores.logits_NC)


def _check_width(outputs_ND: Floats, targets_NT: NDArray[np.float64]) -> None:
    if outputs_ND.shape != targets_NT.shape:
        raise LibraryError(
            f"{targets_NT.shape[1]} targets a row, but the model has {outputs_ND.shape[1]} outputs"
        )
