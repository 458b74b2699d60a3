"""What the `image` connector keeps of a training: its labels, and how it read images."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dd_ray.connectors.spec import State


class ImageState(State):
    """Kept beside the model as JSON."""

    class_names: list[str] = Field(default_factory=list)
    """By class number: names of folders, or labels of a list that are not numbers."""
    classes: int | None = None
    """How many classes labels may have; None where labels are not classes."""
    label_count: int = 1
    """How many labels each image has."""
    preprocessing: dict[str, Any] = Field(default_factory=dict)
    """Input parameters of the training, by their API names."""

    def call_defaults(self) -> dict[str, Any]:
        return dict(self.preprocessing)
