"""Saving a training so that it can be served, and go on as if it had not been interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.files import TRACED_MODEL, NetworkFiles, read_file, saving
from dd_ray.mllibs.torch.network import Network
from dd_ray.mllibs.torch.solver import Solver
from dd_ray.repository import NETWORK, Repository, Save


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """All of a training but the weights."""

    iteration: int
    """Updates done."""
    seed: int
    """Of data order and augmentation, which are functions of it and of the iteration."""
    solver: dict[str, Any]
    random: torch.Tensor
    random_gpu: torch.Tensor | None

    def restore_random(self) -> None:
        """Puts the random generators (dropout) where they were."""
        torch.set_rng_state(self.random)
        if self.random_gpu is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.random_gpu)


class Checkpoints:
    """The checkpoints of one training: weights and state under the number of updates done.

    `notes` are those of an interrupted training that goes on.
    """

    def __init__(
        self,
        repository: Repository,
        network: Network,
        solver: Solver,
        *,
        seed: int,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        self._repository = repository
        self._network = network
        self._solver = solver
        self._seed = seed
        notes = notes or {"saved": [], "regular": []}
        self._saved: set[int] = set(notes["saved"])
        self._regular: set[int] = set(notes["regular"])
        self._pinned: set[int] = set()

    @property
    def notes(self) -> dict[str, Any]:
        """Which there are in the repository, as JSON."""
        return {"saved": sorted(self._saved), "regular": sorted(self._regular)}

    def save(self, done: int, *, regular: bool) -> None:
        """Saves after `done` updates, unless it is there; a regular one is never dropped."""
        if regular:
            self._regular.add(done)
        if done in self._saved:
            return
        for files, save in [*self._network.parts(), (self._network.files.state, self._state(done))]:
            self._repository.save_model(done, files, save)
        self._saved.add(done)

    def write(self, folder: Repository, done: int) -> None:
        """Writes all that it takes to go on after `done` updates to a folder that is not served."""
        for files, save in [*self._network.parts(), (self._network.files.state, self._state(done))]:
            folder.write(files.name(done), save)
        folder.write(NETWORK, self._network.description.model_dump_json().encode())

    def _state(self, done: int) -> Save:
        gpu = self._solver.on_gpu
        state = {
            "iteration": done,
            "seed": self._seed,
            "solver": self._solver.state_dict(),
            "random": torch.get_rng_state(),
            "random_gpu": torch.cuda.get_rng_state() if gpu else None,
        }
        return saving(state)

    def pin(self, pinned: set[int]) -> None:
        """Keeps those to which a training would go back that is interrupted now."""
        self._pinned = set(pinned)

    def drop_except(self, kept: set[int]) -> None:
        """Removes what this training saved, but for regular checkpoints and those to be kept."""
        for done in self._saved - self._regular - self._pinned - kept:
            self._repository.drop_model(done, self._network.files.state)
            for files, _ in self._network.parts():
                self._repository.drop_model(done, files)
            self._saved.discard(done)


def check_resume(repository: Repository, files: NetworkFiles, *, resume: bool) -> int:
    """The number of updates to resume from, 0 for a new training; raises BadParameter."""
    states = {number for number, _ in repository.models(files.state)}
    if resume:
        models = repository.models(files.weights) + repository.models(TRACED_MODEL)
        usable = states & {number for number, _ in models}
        if not usable:
            raise BadParameter(
                f"resuming a model requires a {files.state_word} file in model repository"
            )
        return max(usable)
    if states:
        raise BadParameter(
            f"a {files.state_word} file requires a resume argument for training, otherwise delete"
            " existing training state files (with clear=lib) to cleanup the model repository"
        )
    return 0


def read_state(repository: Repository, files: NetworkFiles, done: int) -> TrainingState:
    """The state after `done` updates; raises BadParameter."""
    path = repository.path / files.state.name(done)
    content = read_file(path)
    try:
        return TrainingState(**content)
    except TypeError as exc:
        raise BadParameter(f"{path}: not the state of a training of dd-ray") from exc
