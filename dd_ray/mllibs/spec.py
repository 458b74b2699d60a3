"""What a machine learning library is to the rest of dd-ray."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Batch, Dataset, Output, TrainReport
from dd_ray.params import Params
from dd_ray.repository import Repository


class MLLibParams(Params):
    """`parameters.mllib` of every mllib."""

    where: ClassVar[str] = "parameters.mllib"

    @property
    def mltype(self) -> str:
        """`classification`, `regression`, ... as `GET /services` shows it."""
        raise NotImplementedError

    @property
    def classes(self) -> int | None:
        """How many classes labels may have; None where labels are not classes."""
        return None

    def check_creation(self) -> None:
        """Raises BadParameter when a service cannot be created with these."""


class Run(Protocol):
    """All that a training sees of the world."""

    @property
    def stopped(self) -> bool:
        """Whether the training should save and return at the end of this iteration."""

    def begin(self, iterations: int) -> None:
        """Says how many iterations there will be, for the estimate of the remaining time."""

    def report(self, iteration: int, **values: float) -> None:
        """Values of the iteration just done, 0-based."""

    def test(
        self, iteration: int, output: Output, targets_NT: NDArray[np.float64], **values: float
    ) -> dict[str, Any]:
        """Computes the measures that the call asked for on a test set, reports and returns them.

        `values` are further numbers that the mllib knows of this test.
        """


class Predictor(Protocol):
    """A loaded model."""

    def predict(self, batch: Batch, params: Any) -> Output:
        """Outputs [N, ...] for a batch of N examples, in its order."""

    def close(self) -> None:
        """Gives memory back."""


class MLLib(Protocol):
    """Trains and loads models."""

    def train(self, dataset: Dataset, repository: Repository, params: Any, run: Run) -> TrainReport:
        """Trains, saving into the repository. Raises BadParameter, BadInput, LibraryError."""

    def load(self, repository: Repository, params: Any) -> Predictor:
        """The newest model of the repository. Raises LibraryError when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MLLibSpec:
    """A row of the mllib table."""

    name: str
    description: str
    params: type[MLLibParams]
    connectors: tuple[str, ...]
    implementation: str
    """Names an MLLib, loaded where it trains or predicts."""
    trainer: str
    """Names the Ray Train trainer that runs the training loop on a cluster."""
    requires: str
    """The module without which this mllib is not there."""
    extra: str
    """The extra of dd-ray that installs it."""
    model_suffixes: tuple[str, ...]
    """Ends of the file names that `clear=lib` removes."""
    takes_missing: bool = False
    """Whether an empty cell is a missing value rather than an error."""
    types: tuple[str, ...] | None = ("supervised",)
    """Values of `type` that are accepted; None accepts any."""

    @property
    def installed(self) -> bool:
        return find_spec(self.requires) is not None
