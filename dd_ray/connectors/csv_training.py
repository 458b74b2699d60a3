"""CSV texts as training and test sets, and as the batch of a predict call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dd_ray.connectors.csv_encoder import Encoder, split
from dd_ray.connectors.csv_learning import learn
from dd_ray.connectors.csv_reader import Reader
from dd_ray.connectors.csv_rows import check_size
from dd_ray.connectors.csv_state import Bounds, CsvState, scaling
from dd_ray.connectors.csv_table import Text, texts_of
from dd_ray.connectors.source import Content, sources
from dd_ray.data import Dataset, TableBatch, TestSet
from dd_ray.errors import BadInput

if TYPE_CHECKING:
    from dd_ray.connectors.csv import CsvParams

logger = logging.getLogger(__name__)


def training_set(
    data: Sequence[str],
    params: CsvParams,
    *,
    scratch: Path,
    missing_ok: bool,
    classes: int | None,
) -> tuple[Dataset, CsvState]:
    """The dataset of a training call and what was learned from its training set."""
    if not params.label and not params.autoencoder:
        raise BadInput("missing label column parameter")
    parts = _parts(data, params, scratch)
    if len(parts) > 1 and params.test_split:
        logger.info("test_split ignored: the call has test sets of its own")
    reader = Reader(params, missing_ok=missing_ok, classes=classes, scratch=scratch)
    columns = reader.columns(parts[0])
    table, labels_are_text = reader.training_table(parts[0], columns)
    state = learn(table, columns, params, labels_are_text=labels_are_text, classes=classes)
    encoder = Encoder(state, params, scaling(state, state.bounds) if state.bounds else None)
    train, held_out = split(table, params, encoder, with_tests=len(parts) > 1)
    if len(train) == 0:
        raise BadInput(
            f"test_split {params.test_split:g} of {table.rows} rows leaves none to train"
        )
    tests = [TestSet(name="split", examples=held_out)] if held_out is not None else []
    for texts in parts[1:]:
        examples = encoder.examples(reader.table(texts, state))
        tests.append(TestSet(name=texts[0].name, examples=examples))
    dataset = Dataset(
        train=train, tests=tuple(tests), names=state.features, class_names=tuple(state.classes)
    )
    return dataset, state


def read_files(
    data: Sequence[str],
    params: CsvParams,
    state: CsvState | None,
    bounds: Bounds | None,
    *,
    scratch: Path,
    labelled: bool,
    missing_ok: bool,
) -> TableBatch:
    """The rows of the files of a predict call, in their order."""
    texts = [text for texts in _parts(data, params, scratch) for text in texts]
    in_memory = params.model_copy(update={"db": False})
    reader = Reader(in_memory, missing_ok=missing_ok, classes=None, scratch=scratch, bounded=True)
    if state is None:
        known = params.model_copy(update={"label": params.label if labelled else []})
        state = Reader(known, missing_ok=missing_ok, classes=None, scratch=scratch).columns(texts)
        state = state.replace(categories=params.categoricals_mapping)
    if labelled and not state.labels:
        raise BadInput("missing label column parameter")
    scale = scaling(state, bounds) if bounds else None
    wanted = _wanted(state, params, reader, texts, labelled=labelled)
    table = reader.table(texts, wanted)
    check_size(table.rows, len(wanted.features), of=texts[0].name)
    return Encoder(wanted, params, scale).whole(table)


def _wanted(
    state: CsvState, params: CsvParams, reader: Reader, texts: Sequence[Text], *, labelled: bool
) -> CsvState:
    """The columns to read: labels only when they are needed, the identifier if it is there."""
    labels = state.labels if labelled else []
    identifier = params.id or state.id
    if identifier and not reader.has_column(texts, identifier):
        identifier = ""
    kept = [column for column in state.kept if column in labels or column in state.inputs]
    return state.replace(
        labels=labels, kept=kept, id=identifier, classes=state.classes if labelled else []
    )


def _parts(data: Sequence[str], params: CsvParams, scratch: Path) -> list[list[Text]]:
    """The texts of the training set and of each test set; in-line strings are one set."""
    given = sources(data, timeout_s=params.timeout, scratch=scratch)
    contents = [source.text for source in given if isinstance(source, Content)]
    if contents:
        return [[Text("data", None, "\n".join(contents))]]
    return [texts_of(source, name="data") for source in given]
