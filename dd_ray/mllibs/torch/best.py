"""Which of a training's models is the best on each test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dd_ray.repository import BEST_MODEL, Repository

DECIDING = (
    "map",
    "meaniou",
    "mlacc",
    "delta_score_0.1",
    "bacc",
    "f1",
    "net_meas",
    "acc",
    "L1_mean_error",
    "eucll",
)
"""The first of these that was measured decides, as in DeepDetect."""

_LOWER_IS_BETTER = frozenset({"eucll", "L1_mean_error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best model of a test set so far."""

    iteration: int
    measure: str
    value: float

    def beaten_by(self, measure: str, value: float) -> bool:
        if measure != self.measure:
            return True
        return value < self.value if measure in _LOWER_IS_BETTER else value > self.value


def deciding(measure: Mapping[str, Any]) -> tuple[str, float] | None:
    """The measure that decides, and its value; None when none of them was asked for.

    >>> deciding({"mcll": 0.3, "acc": 0.9, "f1": 0.8})
    ('f1', 0.8)
    """
    for name in DECIDING:
        if isinstance(measure.get(name), float):
            return name, measure[name]
    return None


class BestModels:
    """The best model of each test set, kept in `best_model.txt` and `best_model_test_<i>.txt`."""

    def __init__(
        self,
        repository: Repository,
        test_names: tuple[str, ...],
        *,
        resume: bool,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Without `resume` it begins anew, with `notes` where an interrupted training was."""
        self._repository = repository
        self._names = test_names
        self._best: dict[int, Best] = {}
        if notes is not None:
            for number, best in notes.items():  # the files may be of what was done after that
                self._write(int(number), Best(**best))
        elif resume:
            for index in range(len(test_names)):
                found = _parsed(repository.read(_file(index)))
                if found is not None:
                    self._best[index] = found

    @property
    def notes(self) -> dict[str, Any]:
        """What is the best of each test set, as JSON."""
        return {str(index): asdict(best) for index, best in self._best.items()}

    @property
    def iterations(self) -> set[int]:
        """The iterations whose models are the best of some test set."""
        return {best.iteration for best in self._best.values()}

    @property
    def first(self) -> Best | None:
        """The best model of the first test set."""
        return self._best.get(0)

    def improves(self, index: int, measure: Mapping[str, Any]) -> bool:
        """Whether a test set's measures are better than what it has seen."""
        found = deciding(measure)
        return found is not None and (
            index not in self._best or self._best[index].beaten_by(*found)
        )

    def keep(self, index: int, iteration: int, measure: Mapping[str, Any]) -> None:
        """Notes the model after `iteration` updates, which has been saved, as the best of a set."""
        found = deciding(measure)
        assert found is not None
        self._write(index, Best(iteration=iteration, measure=found[0], value=found[1]))

    def _write(self, index: int, best: Best) -> None:
        self._best[index] = best
        numbers = f"iteration:{best.iteration}\n{best.measure}:{best.value}\n"
        text = f"{numbers}test_name: {self._names[index]}\n"
        self._repository.write(_file(index), text.encode())
        if index == 0:
            self._repository.write(BEST_MODEL, text.encode())


def _file(index: int) -> str:
    return f"best_model_test_{index}.txt"


def _parsed(content: bytes | None) -> Best | None:
    """What a file of an earlier training says; None when it says nothing that can be used."""
    lines = (content or b"").decode("utf-8", "replace").splitlines()
    pairs = dict(line.split(":", 1) for line in lines if ":" in line)
    for name in DECIDING:
        if name in pairs:
            try:
                return Best(
                    iteration=int(pairs["iteration"]), measure=name, value=float(pairs[name])
                )
            except (KeyError, ValueError):
                return None
    return None
