"""Reading CSV files into Arrow: typed columns, batch by batch, kept in memory or on disk."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from dd_ray.connectors.source import Content, Files
from dd_ray.errors import BadInput
from dd_ray.settings import settings

_BLOCK = 4 * 2**20
"""Bytes of CSV that become one batch."""


@dataclass(frozen=True, slots=True)
class Text:
    """One CSV text with its header: a file, or what was in the call."""

    name: str
    path: Path | None
    content: str = ""

    def open_text(self) -> io.TextIOBase:
        if self.path is None:
            return io.StringIO(self.content.removeprefix("\ufeff"))
        return self.path.open(encoding="utf-8-sig", newline="")

    def open_arrow(self) -> Any:
        if self.path is None:
            return pa.BufferReader(self.content.removeprefix("\ufeff").encode())
        return pa.OSFile(str(self.path), "rb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the fields of a line are told apart."""

    separator: str
    quote: str

    def rows(self, file: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(file, delimiter=self.separator, quotechar=self.quote, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns to read: `numbers` as float64, `texts` as they are; the others are skipped."""

    numbers: tuple[str, ...]
    texts: tuple[str, ...]


def texts_of(source: Content | Files, *, name: str) -> list[Text]:
    """The CSV texts of one element of `data`."""
    if isinstance(source, Content):
        return [Text(name, None, source.text)]
    return [
        Text(os.path.join(source.name, path.name) if len(source.paths) > 1 else source.name, path)
        for path in source.paths
    ]


def header_of(text: Text, dialect: Dialect) -> tuple[list[str], int]:
    """Column names, and the number of lines they take with the blank ones before them.

    Raises BadInput for a file without a header, twice the same name, or bytes that are no text.
    """
    try:
        with text.open_text() as file:
            reader = csv.reader(file, delimiter=dialect.separator, quotechar=dialect.quote)
            for row in reader:
                if any(field.strip() for field in row):
                    _check_names(row, text.name)
                    return row, reader.line_num
    except OSError as exc:
        raise BadInput(f"cannot open file {text.name}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BadInput(f"{text.name}: not UTF-8 text at byte {exc.start}") from exc
    except csv.Error as exc:
        raise BadInput(f"{text.name}, line 1: {exc}") from exc
    raise BadInput(f"no data could be found: {text.name} is empty")


def _check_names(row: Sequence[str], name: str) -> None:
    seen: set[str] = set()
    most = settings().max_columns
    if len(row) > most:
        raise BadInput(f"{name} has {len(row)} columns, expected at most {most}")
    for column in row:
        if "\0" in column:
            raise BadInput(f"{name}: not a text file")
        if column and column in seen:
            raise BadInput(f"{name}: column {column} stands twice in the header")
        seen.add(column)


def read_batches(text: Text, dialect: Dialect, columns: Columns) -> Iterator[pa.RecordBatch]:
    """The rows of one text; raises pyarrow's ArrowInvalid for what does not fit the types."""
    names, lines = header_of(text, dialect)
    unnamed = [name or f"\0{i}" for i, name in enumerate(names)]
    types = {column: pa.float64() for column in columns.numbers}
    types |= {column: pa.string() for column in columns.texts}
    with text.open_arrow() as file:
        try:
            reader = pacsv.open_csv(
                file,
                read_options=pacsv.ReadOptions(
                    column_names=unnamed, skip_rows=lines, block_size=_BLOCK, use_threads=True
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=dialect.separator,
                    quote_char=dialect.quote,
                    newlines_in_values=_has_quoted_newlines(text, dialect),
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=types,
                    include_columns=[*columns.numbers, *columns.texts],
                    null_values=[""],
                    strings_can_be_null=False,
                    quoted_strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as exc:
            if "Empty CSV" in str(exc):
                return
            raise
        longest = settings().max_field_chars
        with reader:
            for batch in reader:
                for column in columns.texts:
                    if (pc.max(pc.utf8_length(batch.column(column))).as_py() or 0) > longest:
                        raise BadInput(
                            f"{text.name}: a field of column {column} has more than {longest}"
                            " characters"
                        )
                yield batch


def _has_quoted_newlines(text: Text, dialect: Dialect) -> bool:
    """Whether a quote is anywhere: only then can a line break be inside a field."""
    if text.path is None:
        return dialect.quote in text.content
    quote = dialect.quote.encode()
    with text.path.open("rb") as file:
        while block := file.read(_BLOCK):
            if quote in block:
                return True
    return False


class Table:
    """Record batches that can be gone through several times; on disk when `path` is given."""

    def __init__(self, batches: Iterator[pa.RecordBatch], path: Path | None) -> None:
        self.path = path
        self._kept: list[pa.RecordBatch] = []
        self.rows = 0
        if path is None:
            for batch in batches:
                self._kept.append(batch)
                self.rows += len(batch)
        else:
            self._write(batches, path)

    def _write(self, batches: Iterator[pa.RecordBatch], path: Path) -> None:
        writer = None
        try:
            for batch in batches:
                if writer is None:
                    writer = pa.ipc.new_file(str(path), batch.schema)
                writer.write_batch(batch)
                self.rows += len(batch)
        finally:
            if writer is not None:
                writer.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self.path is None:
            yield from self._kept
        elif self.rows:
            # read, not mapped: a mapped file would count as the process's memory
            with pa.OSFile(str(self.path), "rb") as file:
                reader = pa.ipc.open_file(file)
                for i in range(reader.num_record_batches):
                    yield reader.get_batch(i)
