"""Batches as one, and outputs as several."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dd_ray.data import (
    ImageBatch,
    Normalization,
    Output,
    Reconstructions,
    Scores,
    SparseBatch,
    TableBatch,
    Values,
    Vectors,
)
from dd_ray.services.joining import joined, parts


def table(*rows: float) -> TableBatch:
    values = np.array(rows, np.float32)[:, None]
    return TableBatch(values_NF=values, names=("x",), uris=[f"u{row}" for row in rows])


def test_tables() -> None:
    one = joined([table(1, 2), table(3)])
    assert isinstance(one, TableBatch)
    assert one.values_NF[:, 0].tolist() == [1, 2, 3]
    assert one.uris == ["u1", "u2", "u3"]


def test_sparse_rows() -> None:
    given = [
        SparseBatch(values_NF=csr_matrix(np.eye(n, 3, dtype=np.float32)), names=(), uris=["u"] * n)
        for n in (1, 2)
    ]
    one = joined(given)
    assert isinstance(one, SparseBatch)
    assert one.values_NF.toarray().tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0]]


def test_images() -> None:
    given = [
        ImageBatch(
            images=[np.full((2, 2, 3), value, np.uint8)],
            normalization=Normalization(),
            uris=[str(value)],
            sizes=[(value, value)],
        )
        for value in (1, 2)
    ]
    one = joined(given)
    assert isinstance(one, ImageBatch)
    assert [int(image[0, 0, 0]) for image in one.images] == [1, 2]
    assert list(one.sizes) == [(1, 1), (2, 2)]


ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.mark.parametrize(
    "output",
    [
        Scores(probs_NC=ROWS),
        Scores(probs_NC=ROWS, logits_NC=ROWS + 1, multi_label=True),
        Values(values_ND=ROWS, soft_labels=True),
        Vectors(values_NV=ROWS),
        Reconstructions(outputs_NV=ROWS, inputs_NV=ROWS, losses_N=ROWS[:, 0]),
    ],
    ids=lambda output: type(output).__name__,
)
def test_outputs_are_cut_along_their_rows(output: Output) -> None:
    cut = list(parts(output, [1, 3, 2]))
    assert [len(part) for part in cut] == [1, 3, 2]
    for name in ("probs_NC", "logits_NC", "values_ND", "values_NV", "losses_N", "inputs_NV"):
        whole = getattr(output, name, None)
        if whole is not None:
            np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in cut]), whole)
    for flag in ("multi_label", "soft_labels"):
        assert {getattr(p, flag, None) for p in cut} == {getattr(output, flag, None)}
