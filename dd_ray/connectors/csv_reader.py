"""Reading the CSV files of one call: which columns, of which type, each cell checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from dd_ray.connectors.csv_diagnosis import Rules, diagnose
from dd_ray.connectors.csv_rows import check_size, label_offset
from dd_ray.connectors.csv_state import CsvState
from dd_ray.connectors.csv_table import Columns, Dialect, Table, Text, header_of, read_batches
from dd_ray.connectors.spec import LARGEST
from dd_ray.disk import is_full
from dd_ray.errors import BadInput

if TYPE_CHECKING:
    from dd_ray.connectors.csv import CsvParams


class Reader:
    """Reads texts with the parameters of one call. With `db` its tables lie in `scratch`.

    `bounded` is for calls whose tables are held in memory as a whole, and may not be too large.
    """

    def __init__(
        self,
        params: CsvParams,
        *,
        missing_ok: bool,
        classes: int | None,
        scratch: Path,
        bounded: bool = False,
    ) -> None:
        if not (params.separator.isascii() and params.quote.isascii()):
            raise BadInput("separator and quote: expected one ASCII character each")
        self._params = params
        self._missing_ok = missing_ok
        self._classes = classes
        self._scratch = scratch
        self._bounded = bounded
        self._dialect = Dialect(separator=params.separator, quote=params.quote)
        self._tables = 0

    def columns(self, texts: Sequence[Text]) -> CsvState:
        """The columns of texts that must all have the same: nothing learned yet but them."""
        names, _ = header_of(texts[0], self._dialect)
        for text in texts[1:]:
            other, _ = header_of(text, self._dialect)
            if set(other) != set(names):
                odd = sorted(set(other) ^ set(names))[0]
                raise BadInput(f"{text.name}: column {odd!r} is not in both it and {texts[0].name}")
        params = self._params
        kept = [column for column in names if column and column not in params.ignore]
        for kind, columns in (
            ("label", params.label),
            ("id", [params.id] if params.id else []),
            ("categorical", [*params.categoricals, *params.categoricals_mapping]),
        ):
            for column in columns:
                if column not in kept:
                    raise BadInput(
                        f"cannot find {kind} column {column} in {texts[0].name},"
                        f" which has {', '.join(kept[:20])}"
                    )
        return CsvState(header=names, kept=kept, id=params.id, labels=params.label)

    def training_table(self, texts: Sequence[Text], state: CsvState) -> tuple[Table, bool]:
        """The rows of a training set, and whether its label is text."""
        categoricals = {*self._params.categoricals, *self._params.categoricals_mapping}
        words = [column for column in state.inputs if column in categoricals]
        numbers = [column for column in state.inputs if column not in categoricals]
        rules = self._rules(state, numbers)
        texts_columns = [*words, *([state.id] if state.id else [])]
        with contextlib.suppress(pa.ArrowInvalid):
            columns = Columns(numbers=(*numbers, *state.labels), texts=tuple(texts_columns))
            table = self._table(texts, columns)
            return self._checked(table, texts, columns, rules), False
        if self._classes is None or len(state.labels) > 1:
            diagnose(texts, self._dialect, rules)
        rules = Rules(numbers=numbers, missing_ok=self._missing_ok, text_labels=state.labels)
        columns = Columns(numbers=tuple(numbers), texts=(*texts_columns, *state.labels))
        return self._read_checked(texts, columns, rules), True

    def table(self, texts: Sequence[Text], state: CsvState) -> Table:
        """The rows of a test set or of a predict call, whose columns are those of the training.

        An identifier column that a text lacks is no error: rows are then numbered.
        """
        for text in texts:
            names, _ = header_of(text, self._dialect)
            for column in [*state.inputs, *state.labels]:
                if column not in names:
                    raise BadInput(f"{text.name}: the header has no column {column}")
        numbers = [column for column in state.inputs if column not in state.categories]
        words = [column for column in state.inputs if column in state.categories]
        if state.id:
            words.append(state.id)
        (words if state.classes else numbers).extend(state.labels)
        rules = self._rules(state, [column for column in numbers if column not in state.labels])
        return self._read_checked(texts, Columns(numbers=tuple(numbers), texts=tuple(words)), rules)

    def has_column(self, texts: Sequence[Text], column: str) -> bool:
        return all(column in header_of(text, self._dialect)[0] for text in texts)

    def _rules(self, state: CsvState, numbers: Sequence[str]) -> Rules:
        offsets = {label: label_offset(self._params, j) for j, label in enumerate(state.labels)}
        return Rules(
            numbers=numbers,
            missing_ok=self._missing_ok,
            numeric_labels=() if state.classes else state.labels,
            label_offsets=offsets,
            classes=self._classes,
            text_labels=state.labels if state.classes else (),
            known_labels=state.classes or None,
            categories=state.categories,
        )

    def _read_checked(self, texts: Sequence[Text], columns: Columns, rules: Rules) -> Table:
        try:
            table = self._table(texts, columns)
        except pa.ArrowInvalid as exc:
            diagnose(texts, self._dialect, rules)
            raise BadInput(f"{texts[0].name}: {exc}") from exc
        return self._checked(table, texts, columns, rules)

    def _checked(
        self, table: Table, texts: Sequence[Text], columns: Columns, rules: Rules
    ) -> Table:
        """The table if every cell follows the rules; else BadInput with the cell's place."""
        if table.rows == 0:
            raise BadInput(f"no data could be found: {texts[0].name} has a header and no rows")
        if any(_breaks(batch, columns, rules) for batch in table):
            diagnose(texts, self._dialect, rules)
        return table

    def _table(self, texts: Sequence[Text], columns: Columns) -> Table:
        self._tables += 1
        path = self._scratch / f"table-{self._tables}.arrow" if self._params.db else None
        batches = (b for text in texts for b in read_batches(text, self._dialect, columns))
        try:
            return Table(_limited(batches, texts[0].name) if self._bounded else batches, path)
        except OSError as exc:
            if is_full(exc):  # where it is written to, not where it is read
                raise
            raise BadInput(f"cannot read {texts[0].name}: {exc}") from exc


def _limited(batches: Iterator[pa.RecordBatch], name: str) -> Iterator[pa.RecordBatch]:
    """The same batches; raises BadInput as soon as there are too many cells."""
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        check_size(rows, batch.num_columns, of=name)
        yield batch


def _breaks(batch: pa.RecordBatch, columns: Columns, rules: Rules) -> bool:
    """Whether any cell of a batch looks as if it broke the rules."""
    for name in columns.numbers:
        column = batch.column(name)
        label = name in rules.numeric_labels
        if column.null_count and (label or not rules.missing_ok):
            return True
        if not pc.all(pc.less_equal(pc.abs(column), LARGEST), skip_nulls=True).as_py():
            return True  # NaN is not less than anything
        if label and rules.classes is not None:
            offset = rules.label_offsets.get(name, 0.0)
            bounds = pc.min_max(column)
            low, high = bounds["min"].as_py() + offset, bounds["max"].as_py() + offset
            if (
                low < 0
                or high >= rules.classes
                or pc.any(pc.not_equal(pc.floor(column), column)).as_py()
            ):
                return True
    for name, known in rules.categories.items():
        if name in columns.texts and _has_other(batch.column(name), known):
            return True
    for name in rules.text_labels:
        column = batch.column(name)
        if column.null_count or pc.any(pc.equal(column, "")).as_py():
            return True
        if rules.known_labels is not None and _has_other(column, rules.known_labels):
            return True
    return False


def _has_other(column: pa.Array, known: object) -> bool:
    """Whether a column of text has a value that is not known."""
    values = pa.array(list(known), pa.string())  # type: ignore[call-overload]  # any collection
    return not pc.all(pc.is_in(column, value_set=values)).as_py()
