"""What a network learns."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """The kind of output, which decides loss, prediction and measures."""

    CLASSIFICATION = "classification"
    MULTI_LABEL = "multi_label"
    """Several classes at once: each class has a probability of its own."""
    SOFT_LABELS = "soft_labels"
    """Each class has a target between 0 and 1."""
    REGRESSION = "regression"
    AUTOENCODER = "autoencoder"
