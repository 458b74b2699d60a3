"""Measures against scikit-learn and SciPy where those define the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from sklearn import metrics

from dd_ray.data import Scores, Values
from dd_ray.errors import LibraryError
from dd_ray.measures.evaluate import evaluate
from dd_ray.measures.table import MEASURES

RNG = np.random.default_rng(3)


def scored(rows: int = 400, classes: int = 5) -> tuple[Scores, np.ndarray]:
    probs = RNG.dirichlet(np.ones(classes), size=rows)
    return Scores(probs_NC=probs), RNG.integers(0, classes, size=(rows, 1)).astype(float)


def test_classification_agrees_with_scikit_learn() -> None:
    output, targets = scored()
    truth, guess = targets[:, 0].astype(int), output.probs_NC.argmax(axis=1)
    asked = ["acc", "acc-3", "f1full", "mcll", "cmdiag", "cmfull", "mcc"]
    found = evaluate(asked, output, targets)
    macro = {"average": "macro", "zero_division": 0}
    assert found["acc"] == found["accp"] == metrics.accuracy_score(truth, guess)
    assert found["acc-3"] == pytest.approx(
        metrics.top_k_accuracy_score(truth, output.probs_NC, k=3)
    )
    assert found["precision"] == pytest.approx(metrics.precision_score(truth, guess, **macro))
    assert found["recall"] == pytest.approx(metrics.recall_score(truth, guess, **macro))
    assert found["f1"] == pytest.approx(metrics.f1_score(truth, guess, **macro), abs=1e-6)
    assert found["f1s"] == pytest.approx(metrics.f1_score(truth, guess, average=None), abs=1e-6)
    assert found["mcll"] == pytest.approx(metrics.log_loss(truth, output.probs_NC))
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, guess))
    shares = metrics.confusion_matrix(truth, guess, normalize="true")
    assert found["cmdiag"] == pytest.approx(np.diag(shares), abs=1e-6)
    assert [row[label] for row, label in zip(found["cmfull"], found["labels"], strict=True)] == [
        pytest.approx(row) for row in shares.tolist()
    ]


def test_auc_agrees_with_scikit_learn_also_with_ties() -> None:
    scores = RNG.integers(0, 10, size=300) / 10
    targets = RNG.integers(0, 2, size=(300, 1)).astype(float)
    output = Scores(probs_NC=np.stack([1 - scores, scores], axis=1))
    expected = metrics.roc_auc_score(targets[:, 0], scores)
    assert evaluate(["auc"], output, targets)["auc"] == pytest.approx(expected)
    assert evaluate(["auc"], output, np.ones((300, 1)))["auc"] == 1.0


def test_regression_agrees_with_scikit_learn() -> None:
    values, targets = RNG.normal(size=(200, 1)), RNG.normal(size=(200, 1))
    found = evaluate(
        ["eucll", "l1", "percent", "r2", "was", "ks"], Values(values_ND=values), targets
    )
    absolute = metrics.mean_absolute_error(targets, values)
    assert found["eucll"] == found["l1"] == pytest.approx(absolute)
    assert found["percent"] == pytest.approx(
        100 * metrics.mean_absolute_percentage_error(targets, values), rel=1e-6
    )
    assert found["r2"] == pytest.approx(metrics.r2_score(targets, values))
    assert found["wasserstein"] == pytest.approx(metrics.root_mean_squared_error(targets, values))
    assert found["kolmogorov_smirnov"] == pytest.approx(metrics.max_error(targets, values))


def test_divergences_agree_with_scipy() -> None:
    p, t = RNG.dirichlet(np.ones(6), size=2)
    found = evaluate(["kl", "js"], Values(values_ND=p[None]), t[None])
    assert found["kl_divergence"] == pytest.approx(entropy(t, p) / 6)
    assert found["js_divergence"] == pytest.approx(jensenshannon(t, p) ** 2 / 6)


def test_distance_correlation_agrees_with_its_definition() -> None:
    p, t = RNG.normal(size=(2, 7))

    def centred(x: np.ndarray) -> np.ndarray:
        away = np.array([[abs(i - j) for j in x] for i in x])
        return np.array(
            [
                [away[i, j] - away[i].mean() - away[:, j].mean() + away.mean() for j in range(7)]
                for i in range(7)
            ]
        )

    a, b = centred(t), centred(p)
    expected = np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))
    found = evaluate(["dc"], Values(values_ND=p[None]), t[None])
    assert found["distance_correlation"] == pytest.approx(expected)


def test_thresholds_add_a_second_key() -> None:
    output, targets = Values(values_ND=np.array([[0.0, 1.0]])), np.array([[0.2, 2.0]])
    assert evaluate(["eucll-0.5"], output, targets) == pytest.approx(
        {
            "eucll": np.hypot(0.2, 1),
            "eucll_0": 0.2,
            "eucll_1": 1.0,
            "eucll_no_0.5": 1.0,
            "eucll_no_0_0.5": 0.0,
            "eucll_no_1_0.5": 1.0,
        }
    )
    assert set(evaluate(["kl-0.1", "deltas-0.1"], output, targets)) == {
        "kl_divergence",
        "kl_divergence_no_0.1",
        *(f"delta_score_{d}" for d in ("0.05", "0.1", "0.2", "0.5")),
        *(f"delta_score_{d}_no_0.1" for d in ("0.05", "0.1", "0.2", "0.5")),
    }


def test_gini_is_one_for_the_right_order_and_less_for_another() -> None:
    targets = np.array([[1.0], [2.0], [3.0]])
    right = evaluate(["gini"], Values(values_ND=targets * 2), targets)["gini"]
    wrong = evaluate(["gini"], Values(values_ND=-targets), targets)["gini"]
    assert (right, wrong) == (pytest.approx(1.0), pytest.approx(-1.0))


def test_acc_k_takes_the_lower_index_first_among_equals() -> None:
    output, targets = Scores(probs_NC=np.full((3, 4), 0.25)), np.array([[0.0], [1.0], [3.0]])
    assert evaluate(["acc", "acc-2", "acc-9"], output, targets) == {
        "acc": pytest.approx(1 / 3),
        "acc-2": pytest.approx(2 / 3),
        "acc-9": 0.0,
    }


@pytest.mark.parametrize(
    "requested", ["nope", "acc-x", "acc-0", "acc-", "balanced_acc", "cmdiag", "eucll", "mcll-1", ""]
)
def test_what_is_unknown_or_does_not_apply_is_ignored(requested: str) -> None:
    output, targets = scored(3)
    assert evaluate([requested], output, targets) == {}


def test_class_names_label_the_confusion() -> None:
    output = Scores(probs_NC=np.eye(3))
    found = evaluate(
        ["f1", "cmfull", "raw"], output, np.array([[0.0], [1], [2]]), class_names=["x", "y"]
    )
    assert found["labels"] == ["x", "y", "2"]
    assert found["raw"]["truths"] == ["x", "y", "2"]


@pytest.mark.parametrize(
    ("target", "message"),
    [(-1.0, "negative supervised discrete target"), (5.0, "not below the number of classes 5")],
)
def test_targets_that_are_no_class_are_an_error(target: float, message: str) -> None:
    output, targets = scored(3)
    targets[1, 0] = target
    with pytest.raises(LibraryError, match=message):
        evaluate(["acc"], output, targets)


def test_no_examples_and_other_widths_are_errors() -> None:
    with pytest.raises(LibraryError, match="no examples"):
        evaluate(["acc"], Scores(probs_NC=np.empty((0, 2))), np.empty((0, 1)))
    with pytest.raises(LibraryError, match="2 targets a row, but the model has 1 outputs"):
        evaluate(["eucll"], Values(values_ND=np.ones((1, 1))), np.ones((1, 2)))


@pytest.mark.parametrize("measure", list(MEASURES), ids=lambda measure: measure.name)
@pytest.mark.parametrize("rows", [1, 4])
def test_every_measure_gives_json_numbers(measure: Any, rows: int) -> None:
    asked = [measure.name, *measure.requires]
    if measure.of_scores:
        probs = np.tile(np.array([[1.0, 0.0]], np.float32), (rows, 1))
        found = evaluate(asked, Scores(probs_NC=probs), np.ones((rows, 1)))
        assert found
        json.dumps(found, allow_nan=False)
    if measure.of_values:
        found = evaluate(
            asked, Values(values_ND=np.zeros((rows, 2), np.float32)), np.ones((rows, 2))
        )
        assert found
        json.dumps(found, allow_nan=False)


Cells = hnp.arrays(np.float32, (6, 3), elements=st.floats(0, 1, width=32))


@settings(max_examples=50, deadline=None)
@given(Cells, st.lists(st.integers(0, 2), min_size=6, max_size=6), st.permutations(range(6)))
def test_the_order_of_examples_does_not_matter(
    probs: np.ndarray, targets: list[int], order: list[int]
) -> None:
    asked = ["acc", "acc-2", "f1", "mcll", "mcc", "cmdiag"]
    truth = np.array(targets, float)[:, None]
    found = evaluate(asked, Scores(probs_NC=probs), truth)
    again = evaluate(asked, Scores(probs_NC=probs[order]), truth[order])
    for key, value in found.items():
        assert again[key] == pytest.approx(value) if key != "labels" else again[key] == value
    assert found["acc"] <= found["acc-2"]
