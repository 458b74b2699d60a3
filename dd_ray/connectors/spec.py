"""What an input connector is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dd_ray.data import Batch, Dataset
from dd_ray.errors import ApiError, BadInput
from dd_ray.params import Params

LARGEST = float(np.finfo(np.float32).max)
"""The largest number in a table: models compute in float32."""


class InputParams(Params):
    """`parameters.input` of every connector."""

    where: ClassVar[str] = "parameters.input"
    error: ClassVar[type[ApiError]] = BadInput

    timeout: float = Field(
        6000, gt=0, description="Seconds that fetching one URL of `data` may take"
    )
    autoencoder: bool = Field(
        False, description="Whether training data needs no label; implied by mllib.autoencoder"
    )


class State(BaseModel):
    """What a connector learned from training data, kept beside the weights as JSON."""

    model_config = ConfigDict(frozen=True)

    def call_defaults(self) -> dict[str, Any]:
        """`parameters.input` of the training that a predict call takes over where it is silent."""
        return {}


class InputConnector(Protocol):
    """Reads data. Holds nothing: what was learned is in the State that goes in and out."""

    state: type[State]

    def dataset(
        self,
        data: Sequence[str],
        params: Any,
        *,
        scratch: Path,
        missing_ok: bool,
        classes: int | None,
    ) -> tuple[Dataset, Any]:
        """The examples of a training call and what was learned from them.

        `data[0]` is the training set, the others are test sets; `scratch` is an empty folder for
        on-disk copies (`db: true`), which lives as long as the training; `missing_ok` says whether
        an empty cell is a missing value (NaN) or an error; `classes` is how many classes labels may
        have, None where they are not classes. Raises BadInput.
        """

    def read(
        self,
        data: Sequence[str],
        params: Any,
        state: Any | None,
        *,
        labelled: bool,
        missing_ok: bool,
    ) -> Batch:
        """The examples of a predict call in the order sent; with targets when `labelled`.

        `state` is None while the service has never been trained. Raises BadInput.
        """

    def quick(self, data: Sequence[str]) -> bool:
        """Whether `read` of this data takes microseconds, and need not be done in a thread."""

    def learned(self, params: Any, state: Any) -> dict[str, Any]:
        """What a train answer returns as `parameters.input`; `{}` when there is nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSpec:
    """A row of the connector table; `implementation` names an InputConnector."""

    name: str
    description: str
    params: type[InputParams]
    implementation: str
