"""What a machine learning library is to the rest of dd-ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dd_ray.data import Batch, Dataset, Output, TrainReport
from dd_ray.mllibs.resource_params import ReplicaParams, ResourceParams
from dd_ray.mllibs.team import Team
from dd_ray.params import Int, Params
from dd_ray.repository import Repository


class MLLibParams(Params):
    """`parameters.mllib` of every mllib."""

    where: ClassVar[str] = "parameters.mllib"

    resources: ResourceParams = Field(
        default_factory=lambda: ResourceParams.model_validate({}),
        description="What each replica of the service, or each worker of a training, needs of its"
        " node; extension",
    )
    workers: Int = Field(
        1,
        ge=1,
        le=1000,
        description="Processes that train together, each with net.batch_size examples an update or"
        " its part of the rows; where GPUs are used, gpuid says it too. Extension",
    )
    replicas: Annotated[Int, Field(ge=1, le=1000)] | ReplicaParams = Field(
        1,
        description='Processes that answer predict calls, or {"min":1,"max":4} for a number that'
        " follows the load; of a creation call. Extension",
    )

    shared: bool | None = Field(
        None,
        description="Whether predict calls are answered in one process with those of all other"
        " services that say so: for many small models. Of a creation call, default DD_RAY_SHARED."
        " Extension",
    )

    @property
    def mltype(self) -> str:
        """`classification`, `regression`, ... as `GET /services` shows it."""
        raise NotImplementedError

    @property
    def classes(self) -> int | None:
        """How many classes labels may have; None where labels are not classes."""
        return None

    @property
    def input_defaults(self) -> Mapping[str, Any]:
        """`parameters.input` where no call says anything: the image size of a template."""
        return {}

    @property
    def gpus(self) -> int:
        """How many GPUs a training asks for; -1 is all that there are."""
        return 0

    def check_creation(self, repository: Repository, *, type: str) -> None:
        """Raises BadParameter when a service of that type cannot be created with these."""

    def check_predict(self, *, type: str) -> None:
        """Raises BadParameter when a service of that type cannot predict with these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where an interrupted training goes on."""

    done: int
    """Iterations that need not be done again."""
    folder: Repository
    """Holds what the mllib saved after them."""
    notes: Mapping[str, Any]
    """What the mllib noted of itself."""


class Run(Protocol):
    """All that a training sees of the world."""

    @property
    def team(self) -> Team:
        """Who trains: what is said of saving, reporting and stopping is for who leads it."""

    @property
    def stopped(self) -> bool:
        """Whether the training should save and return at the end of this iteration."""

    @property
    def interrupted(self) -> Checkpoint | None:
        """The last checkpoint of a process that began this training and died; None without."""

    @property
    def checkpoint_due(self) -> bool:
        """Whether so much time has passed since the last checkpoint that one should be made."""

    def checkpoint(
        self,
        done: int,
        *,
        notes: Mapping[str, Any],
        save: Callable[[Repository], object] | None = None,
    ) -> None:
        """Makes this the place from which the training goes on when its process dies.

        To be called between two iterations. `notes` is JSON; `save` writes what it takes to go on
        into a folder of the training's own, without it the repository has it already.
        """

    def begin(self, iterations: int, *, start: int = 0) -> None:
        """Says how many iterations there will be, and how many an earlier training has done."""

    def report(self, iteration: int, **values: float) -> None:
        """Values of the iteration just done, 0-based."""

    def test(
        self,
        iteration: int,
        output: Output,
        targets_NT: NDArray[np.float64],
        *,
        test_set: int = 0,
        values: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Computes the measures that the call asked for on a test set, reports and returns them.

        `test_set` is the set's position in the dataset, `values` are further numbers that the
        mllib knows of this test.
        """


class Predictor(Protocol):
    """A loaded model."""

    def predict(self, batch: Batch, params: Any) -> Output:
        """Outputs [N, ...] for a batch of N examples, in its order."""

    def at_once(self, params: Any) -> int | None:
        """Examples that are best predicted together; None: the more the better.

        Of a larger batch, which is right all the same, the first would wait for the last.
        """

    def close(self) -> None:
        """Gives memory back."""


class MLLib(Protocol):
    """Trains and loads models."""

    def train(self, dataset: Dataset, repository: Repository, params: Any, run: Run) -> TrainReport:
        """Trains, saving into the repository. Raises BadParameter, BadInput, LibraryError.

        What it returns is the leader's; the repository of the others cannot be written.
        """

    def load(self, repository: Repository, params: Any, *, inner_layers: bool = False) -> Predictor:
        """The newest model of the repository. Raises LibraryError when there is none.

        `inner_layers` says whether calls may ask for what inner layers compute.
        """


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
