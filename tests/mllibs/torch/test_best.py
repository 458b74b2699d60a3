"""Which model of a training is the best."""

from __future__ import annotations

from pathlib import Path

from dd_ray.mllibs.torch.best import BestModels, deciding
from dd_ray.repository import Repository


def test_the_first_of_the_list_decides() -> None:
    assert deciding({"acc": 0.5, "f1": 0.4, "eucll": 3.0}) == ("f1", 0.4)
    assert deciding({"mcll": 0.5, "iteration": 3.0}) is None
    assert deciding({"f1": None, "acc": 0.5}) == ("acc", 0.5)


def test_only_an_improvement_is_kept(tmp_path: Path) -> None:
    best = BestModels(Repository(tmp_path), ("split",), resume=False)
    assert best.improves(0, {"f1": 0.1})
    best.keep(0, 10, {"f1": 0.1})
    assert not best.improves(0, {"f1": 0.1})
    assert best.improves(0, {"f1": 0.2})
    assert not best.improves(0, {})


def test_a_distance_improves_downwards(tmp_path: Path) -> None:
    best = BestModels(Repository(tmp_path), ("split",), resume=False)
    best.keep(0, 10, {"eucll": 4.0})
    assert best.improves(0, {"eucll": 3.0})
    assert not best.improves(0, {"eucll": 5.0})


def test_files_name_the_best_of_each_test_set(tmp_path: Path) -> None:
    best = BestModels(Repository(tmp_path), ("one", "two"), resume=False)
    best.keep(0, 10, {"acc": 0.5})
    best.keep(1, 20, {"acc": 0.25})
    assert (tmp_path / "best_model.txt").read_text() == "iteration:10\nacc:0.5\ntest_name: one\n"
    assert (tmp_path / "best_model_test_1.txt").read_text().endswith("test_name: two\n")
    assert best.iterations == {10, 20}


def test_a_resumed_training_knows_what_was_best(tmp_path: Path) -> None:
    BestModels(Repository(tmp_path), ("one",), resume=False).keep(0, 10, {"acc": 0.5})
    again = BestModels(Repository(tmp_path), ("one",), resume=True)
    assert not again.improves(0, {"acc": 0.4})
    assert again.iterations == {10}
    anew = BestModels(Repository(tmp_path), ("one",), resume=False)
    assert anew.improves(0, {"acc": 0.4})
    (tmp_path / "best_model_test_0.txt").write_text("iteration:x\nacc:0.5\n")
    assert BestModels(Repository(tmp_path), ("one",), resume=True).iterations == set()
