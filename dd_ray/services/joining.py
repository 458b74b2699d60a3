"""Batches of several calls as one, and the outputs of that one as those of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import chain
from typing import Any

import numpy as np

from dd_ray.data import Batch, ImageBatch, Output, SparseBatch, TableBatch


def joined(batches: Sequence[Batch]) -> Batch:
    """The rows of batches of one kind, one after the other; labels are left out.

    The batches must have been read with the same parameters.
    """
    first = batches[0]
    if len(batches) == 1:
        return first
    uris = list(chain.from_iterable(batch.uris for batch in batches))
    match first:
        case TableBatch():
            tables: list[Any] = list(batches)
            rows = np.concatenate([batch.values_NF for batch in tables])
            return replace(first, values_NF=rows, uris=uris, targets_NT=None)
        case SparseBatch():
            from scipy.sparse import vstack

            sparse: list[Any] = list(batches)
            matrix = vstack([batch.values_NF for batch in sparse], format="csr")
            return replace(first, values_NF=matrix, uris=uris, targets_NT=None)
        case ImageBatch():
            images: list[Any] = list(batches)
            return replace(
                first,
                images=list(chain.from_iterable(batch.images for batch in images)),
                sizes=list(chain.from_iterable(batch.sizes for batch in images)),
                uris=uris,
                targets_NT=None,
            )


def parts(output: Output, sizes: Sequence[int]) -> Iterator[Output]:
    """The outputs of joined batches of those sizes: every array is cut along its rows."""
    if len(sizes) == 1:
        yield output
        return
    arrays = [
        field.name
        for field in fields(output)
        if isinstance(getattr(output, field.name), np.ndarray)
    ]
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        yield replace(output, **{name: getattr(output, name)[rows] for name in arrays})
        start += size
