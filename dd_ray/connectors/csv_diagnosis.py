"""Finding the line and column of what a fast reader has refused."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dd_ray.connectors.csv_rows import number
from dd_ray.connectors.csv_table import Dialect, Text, header_of
from dd_ray.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What each cell must be."""

    numbers: Collection[str]
    missing_ok: bool
    numeric_labels: Collection[str] = ()
    label_offsets: Mapping[str, float] = field(default_factory=dict)
    classes: int | None = None
    """How many classes numeric labels may have, None where they are values."""
    known_labels: Collection[str] | None = None
    """The text labels of the training set, for a test set."""
    text_labels: Collection[str] = ()
    categories: Mapping[str, Collection[str]] = field(default_factory=dict)


def diagnose(texts: Sequence[Text], dialect: Dialect, rules: Rules) -> None:
    """Raises BadInput for the first cell that breaks the rules; returns when there is none."""
    for text in texts:
        columns, _ = header_of(text, dialect)
        try:
            with text.open_text() as file:
                reader = csv.reader(
                    file, delimiter=dialect.separator, quotechar=dialect.quote, strict=True
                )
                header_seen = False
                for row in reader:
                    if not row:
                        continue
                    if not header_seen:
                        header_seen = any(name.strip() for name in row)
                        continue
                    _check_row(row, columns, f"{text.name}, line {reader.line_num}", rules)
        except csv.Error as exc:
            raise BadInput(f"{text.name}, line {reader.line_num}: {exc}") from exc
        except UnicodeDecodeError as exc:
            raise BadInput(
                f"{text.name}, line {reader.line_num + 1}: not UTF-8 text ({exc.reason})"
            ) from exc


def _check_row(row: Sequence[str], columns: Sequence[str], line: str, rules: Rules) -> None:
    if len(row) != len(columns):
        more = "more" if len(row) > len(columns) else "fewer"
        raise BadInput(
            f"{line}: line has {more} columns than headers: {len(row)}, expected {len(columns)}"
        )
    for cell, column in zip(row, columns, strict=True):
        if column in rules.numbers:
            number(cell, column, line, missing_ok=rules.missing_ok)
        elif column in rules.numeric_labels:
            _check_label(number(cell, column, line, missing_ok=False), column, line, rules)
        elif column in rules.text_labels:
            if not cell:
                raise BadInput(f"{line}: column {column} is empty")
            if rules.known_labels is not None and cell not in rules.known_labels:
                raise BadInput(f"{line}: label {cell[:80]} found in test set but not in train set")
        elif column in rules.categories and cell not in rules.categories[column]:
            raise BadInput(f"{line}: unknown category {cell[:80]} for variable {column}")


def _check_label(value: float, column: str, line: str, rules: Rules) -> None:
    if rules.classes is None:
        return
    offset = rules.label_offsets.get(column, 0.0)
    label = value + offset
    if label < 0 or label >= rules.classes or not label.is_integer():
        raise BadInput(
            f"{line}: label {value:g} of column {column}"
            + (f" with label_offset {offset:g}" if offset else "")
            + f" is not a class, expected an integer from {0 - offset:g} to"
            f" {rules.classes - 1 - offset:g} (nclasses is {rules.classes})"
        )
