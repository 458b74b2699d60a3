"""Computing the measures that a call asks for."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Output
from dd_ray.errors import LibraryError
from dd_ray.measures.measurable import Labelled, Measurable, MultiLabelled, Paired, measurable
from dd_ray.measures.table import MEASURES, Argument, Measure

logger = logging.getLogger(__name__)

_COUNT = re.compile(r"[1-9]\d{0,8}")
_THRESHOLD = re.compile(r"\d+(\.\d+)?")


def evaluate(
    requested: Sequence[str],
    output: Output,
    targets_NT: NDArray[np.float64],
    *,
    class_names: Sequence[str] = (),
) -> dict[str, Any]:
    """The measures that were asked for and that apply to this kind of output, by their keys.

    `targets_NT` is [N, 1] with class indices for scores, [N, C] for several labels at once, [N, D]
    for values; an autoencoder has its own inputs as targets. Names that are unknown or do not apply
    are ignored and logged, as DeepDetect does. Numbers are floats; what is not defined for this
    data is None. Raises LibraryError for targets that cannot be.
    """
    if len(output) == 0:
        raise LibraryError("no examples to measure on")
    data = measurable(output, targets_NT, class_names)
    names = {name for name, _ in map(_split, requested)}
    result: dict[str, Any] = {}
    for entry in requested:
        name, argument = _split(entry)
        measure = MEASURES.find(name) if name in MEASURES else None
        missing = measure is None or (measure.requires and not names & set(measure.requires))
        found = None if measure is None or missing else _computed(measure, data, argument)
        if found is None:
            _log_ignored(str(entry)[:32])
        else:
            result |= found
    return {key: _finite(value) for key, value in result.items()}


def _computed(measure: Measure, data: Measurable, argument: Argument) -> dict[str, Any] | None:
    """What a measure says of the data; None when it does not apply."""
    match data:
        case Labelled():
            return measure.of_scores(data, argument) if measure.of_scores else None
        case MultiLabelled():
            return measure.of_labels(data, argument) if measure.of_labels else None
        case Paired():
            of_soft_labels = measure.of_soft_labels if data.soft_labels else None
            compute = of_soft_labels or measure.of_values
            return compute(data, argument) if compute else None


def _split(entry: str) -> tuple[str, Argument]:
    """`acc-5` is acc with 5; a name with an ending that it does not take is unknown."""
    name, dash, ending = entry.partition("-")
    if not dash:
        return entry, None
    measure = MEASURES.find(name) if name in MEASURES else None
    pattern = (
        {"count": _COUNT, "threshold": _THRESHOLD}.get(measure.takes or "") if measure else None
    )
    if pattern is None or not pattern.fullmatch(ending):
        return entry, None
    return name, float(ending)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@lru_cache(maxsize=256)
def _log_ignored(entry: str) -> None:
    logger.info("measure %r is unknown or does not apply here, ignored", entry)
