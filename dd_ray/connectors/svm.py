"""The `svm` input connector: sparse rows in libSVM's format, `label id:value id:value ...`."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from dd_ray.connectors.source import Content, Files, sources
from dd_ray.connectors.spec import LARGEST, InputParams, State
from dd_ray.data import Dataset, InMemory, SparseBatch, TestSet
from dd_ray.errors import BadInput
from dd_ray.params import Int
from dd_ray.settings import settings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_MAX_FEATURE = 2**31 - 2


class SvmParams(InputParams):
    """`parameters.input` of the `svm` connector."""

    test_split: float = Field(0.0, ge=0, lt=1, description="Test split part of the dataset")
    shuffle: bool = Field(
        False, description="Whether to shuffle the training set, prior to splitting"
    )
    seed: Int = Field(-1, description="Shuffling seed for reproducible results, -1 for random")


class SvmState(State):
    """The features that the training set has. Column i of a matrix is feature i."""

    features: list[int]

    @property
    def width(self) -> int:
        return max(self.features, default=-1) + 1


@dataclass(frozen=True, slots=True)
class _Line:
    label: float | None
    ids: list[int]
    values: list[float]
    where: str


class _Svm:
    """The `svm` connector; see InputConnector."""

    state = SvmState

    def dataset(
        self,
        data: Sequence[str],
        params: SvmParams,
        *,
        scratch: Path,
        missing_ok: bool,
        classes: int | None,
    ) -> tuple[Dataset, SvmState]:
        parts = _parts(data, params, scratch)
        lines = list(parts[0])
        if not lines:
            raise BadInput("no data could be found")
        state = SvmState(features=sorted({i for line in lines for i in line.ids}))
        labelled = not params.autoencoder
        whole = _batch(lines, state, labelled=labelled, classes=classes)
        train, held_out = _split(whole, params, with_tests=len(parts) > 1)
        tests = [TestSet(name="split", examples=InMemory(held_out))] if held_out else []
        for item, part in zip(data[1:], parts[1:], strict=False):  # lines in the call are one part
            examples = InMemory(_batch(list(part), state, labelled=labelled, classes=classes))
            tests.append(TestSet(name=item, examples=examples))
        names = tuple(str(i) for i in range(state.width))
        return Dataset(train=InMemory(train), tests=tuple(tests), names=names), state

    def read(
        self,
        data: Sequence[str],
        params: SvmParams,
        state: SvmState | None,
        *,
        labelled: bool,
        missing_ok: bool,
    ) -> SparseBatch:
        with tempfile.TemporaryDirectory(prefix="dd-ray-") as scratch:
            lines = _limited(line for part in _parts(data, params, Path(scratch)) for line in part)
        if not lines:
            raise BadInput("no data could be found for input 0")
        known = state or SvmState(features=sorted({i for line in lines for i in line.ids}))
        return _batch(lines, known, labelled=labelled, classes=None)

    def quick(self, data: Sequence[str]) -> bool:
        return False

    def learned(self, params: SvmParams, state: SvmState) -> dict[str, Any]:
        return {}


SVM = _Svm()


def _parts(data: Sequence[str], params: SvmParams, scratch: Path) -> list[Iterator[_Line]]:
    """The lines of each file; those of in-line strings, together when they are a training set."""
    given = sources(data, timeout_s=params.timeout, scratch=scratch)
    contents = [source for source in given if isinstance(source, Content)]
    if contents:
        return [
            _parsed(
                (f"data[{i}], line {number}", line)
                for i, content in enumerate(contents)
                for number, line in enumerate(content.text.splitlines() or [""], 1)
            )
        ]
    return [_parsed(_lines_of(source)) for source in given if isinstance(source, Files)]


def _lines_of(source: Files) -> Iterator[tuple[str, str]]:
    if Path(source.name).is_dir():
        raise BadInput(f"uri {source.name} is a directory, requires a file in libSVM format")
    try:
        with source.paths[0].open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield f"{source.name}, line {number}", line
    except OSError as exc:
        raise BadInput(f"cannot open file {source.name}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BadInput(f"{source.name}: not UTF-8 text at byte {exc.start}") from exc


def _parsed(lines: Iterable[tuple[str, str]]) -> Iterator[_Line]:
    for where, text in lines:
        fields = text.partition("#")[0].split()
        if fields:
            yield _parse(fields, text, where)


def _parse(fields: list[str], text: str, where: str) -> _Line:
    """One line; a first field without a colon is the label."""
    label = None
    if ":" not in fields[0]:
        label = _number(fields[0], text, where)
        fields = fields[1:]
    ids, values = [], []
    for field in fields:
        name, colon, value = field.partition(":")
        if not (colon and name.isascii() and name.isdigit()) or int(name) > _MAX_FEATURE:
            raise _invalid(text, where)
        ids.append(int(name))
        values.append(_number(value, text, where))
    if len(set(ids)) != len(ids):
        raise BadInput(f"{where}: a feature stands twice in {text.strip()[:120]!r}")
    return _Line(label, ids, values, where)


def _number(field: str, text: str, where: str) -> float:
    try:
        value = float(field)
    except ValueError:
        raise _invalid(text, where) from None
    if not abs(value) <= LARGEST or "_" in field:
        raise _invalid(text, where)
    return value


def _invalid(text: str, where: str) -> BadInput:
    return BadInput(
        f"{where}: invalid argument error reading SVM format line: {text.strip()[:120]}"
    )


def _limited(lines: Iterable[_Line]) -> list[_Line]:
    """The lines of one predict call; raises BadInput when they hold too much."""
    kept, values, most = [], 0, settings().max_cells
    for line in lines:
        values += len(line.ids) + 1
        if values > most:
            raise BadInput(f"{line.where}: more than {most} values in one predict call")
        kept.append(line)
    return kept


def _batch(
    lines: Sequence[_Line], state: SvmState, *, labelled: bool, classes: int | None
) -> SparseBatch:
    """The lines as a sparse matrix over the known features; others are dropped."""
    from scipy.sparse import csr_matrix

    most = settings().max_columns
    if state.width > most:
        raise BadInput(f"feature {state.width - 1}, expected at most {most} features")
    known = set(state.features)
    starts, ids, values = [0], [], []
    for line in lines:
        kept = sorted((i, v) for i, v in zip(line.ids, line.values, strict=True) if i in known)
        if line.ids and not kept:
            raise BadInput(
                f"{line.where}: Issue while reading svm example (index might be out of bounds):"
                f" none of its features was in the training set, whose ids end at {state.width - 1}"
            )
        ids += [i for i, _ in kept]
        values += [v for _, v in kept]
        starts.append(len(ids))
    matrix: csr_matrix = csr_matrix(
        (np.array(values, np.float32), np.array(ids, np.int32), np.array(starts, np.int64)),
        shape=(len(lines), state.width),
    )
    return SparseBatch(
        values_NF=matrix,
        names=tuple(str(i) for i in range(state.width)),
        uris=[str(i) for i in range(len(lines))],
        targets_NT=_targets(lines, classes) if labelled else None,
    )


def _targets(lines: Sequence[_Line], classes: int | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Labels [N, 1]: whole numbers for classes, as the original reads them."""
    labels = np.empty((len(lines), 1))
    for i, line in enumerate(lines):
        if line.label is None:
            raise BadInput(f"{line.where}: no label, expected a number before the features")
        label = line.label if classes is None else float(int(line.label))
        if classes is not None and not 0 <= label < classes:
            raise BadInput(
                f"{line.where}: label {line.label:g} is not a class, expected 0 to {classes - 1}"
                f" (nclasses is {classes})"
            )
        labels[i, 0] = label
    return labels


def _split(
    batch: SparseBatch, params: SvmParams, *, with_tests: bool
) -> tuple[SparseBatch, SparseBatch | None]:
    count = len(batch)
    first = math.floor(count * (1 - (0.0 if with_tests else params.test_split)))
    order = np.arange(count)
    if params.shuffle:
        np.random.default_rng(params.seed if params.seed >= 0 else None).shuffle(order)
    if first == 0:
        raise BadInput(f"test_split {params.test_split:g} of {count} rows leaves none to train")
    held_out = _rows(batch, order[first:]) if first < count else None
    return _rows(batch, order[:first]), held_out


def _rows(batch: SparseBatch, chosen: np.ndarray[Any, np.dtype[np.int64]]) -> SparseBatch:
    targets_NT = batch.targets_NT
    return SparseBatch(
        values_NF=batch.values_NF[chosen],
        names=batch.names,
        uris=[batch.uris[i] for i in chosen],
        targets_NT=None if targets_NT is None else targets_NT[chosen],
    )
