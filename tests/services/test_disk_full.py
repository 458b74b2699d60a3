"""Trainings whose disk is full from one of their writes on: what was there stays usable."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dd_ray.attempts import close_job, open_job
from dd_ray.errors import LibraryError
from dd_ray.services.ports import Work
from dd_ray.services.training import train
from tests.disks import small_disk
from tests.services.dying import work

LONGER: dict[str, dict[str, Any]] = {
    "xgboost": {"iterations": 6, "save_period": 0},
    "torch": {"resume": True, "solver": {"iterations": 4, "snapshot": 1, "test_interval": 1}},
}
NEWEST = {"xgboost": "*.model", "torch": "checkpoint-*.npt"}
LEARNED = ("connector.json", "corresp.txt", "model.fmap")


def longer(given: Work, mllib: str) -> Work:
    """The training after one, which learns another scale where it begins anew."""
    parameters = dict(given.call["parameters"])
    parameters["mllib"] = parameters["mllib"] | LONGER[mllib]
    parameters["input"] = parameters["input"] | {"scale": mllib == "xgboost"}
    return replace(given, key="next", call=dict(given.call) | {"parameters": parameters})


def attempted(given: Work) -> None:
    open_job(given.definition.repository, given.key)
    try:
        train(given, report=lambda _: None, stopped=lambda: False, clock=lambda: 0.0)
    finally:
        close_job(given.definition.repository, given.key)


def files(path: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in path.iterdir() if found.is_file()}


def number(name: str) -> int:
    return int("".join(filter(str.isdecimal, name)))


class FullFrom:
    """A disk on which no write succeeds from the n-th on; counts them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.writes = 0
        self.last = 10**9
        self._sync = os.fsync
        patch.setattr(os, "fsync", self._write)

    def _write(self, descriptor: int) -> None:
        self.writes += 1
        if self.writes > self.last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sync(descriptor)


@pytest.mark.parametrize("mllib", ["xgboost", "torch"])
def test_at_every_write(
    tmp_path: Path, iris_csv: str, mllib: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = work(tmp_path / "r", iris_csv, mllib)
    attempted(first)
    before = files(tmp_path / "r")
    models = [name for name in before if Path(name).match(NEWEST[mllib])]
    disk = FullFrom(monkeypatch)
    shutil.copytree(tmp_path / "r", tmp_path / "kept")
    attempted(longer(first, mllib))
    after, disk.last = files(tmp_path / "r"), 0
    assert before["connector.json"] != after["connector.json"] or mllib == "torch"
    for last in range(disk.writes):
        shutil.rmtree(tmp_path / "r")
        shutil.copytree(tmp_path / "kept", tmp_path / "r")
        disk.writes, disk.last = 0, last
        with pytest.raises(LibraryError, match="No space left on device"):
            attempted(longer(first, mllib))
        found = files(tmp_path / "r")
        assert {name: found[name] for name in models} == {name: before[name] for name in models}
        newest = max((n for n in found if Path(n).match(NEWEST[mllib])), key=number)
        expected = before if newest in models else after
        assert {n: found[n] for n in LEARNED} == {n: expected[n] for n in LEARNED}, last
        assert not [name for name in found if name.startswith((".partial", ".staged"))]
        if "best_model.txt" in found:
            best = found["best_model.txt"].decode().splitlines()[0].removeprefix("iteration:")
            assert f"checkpoint-{best}.npt" in found
        assert list((tmp_path / "r").glob(".job-*")) == []


@pytest.mark.parametrize("mllib", ["xgboost", "torch"])
def test_tables_that_do_not_fit(tmp_path: Path, mllib: str) -> None:
    """With `db` they lie beside the model: it is not the data that cannot be read."""
    data = tmp_path / "large.csv"
    row = ",".join(str(i / 7) for i in range(30))
    data.write_text("\n".join([",".join([*(f"c{i}" for i in range(29)), "target"]), *[row] * 9000]))
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        disk.fill(but=500_000)
        given = work(disk.path / "r", str(data), mllib)
        parameters = dict(given.call["parameters"])
        parameters["input"] = {"label": "target", "db": True}
        with pytest.raises(LibraryError, match=r"cannot write in .*/r/\.job-k: No space left"):
            attempted(replace(given, call=dict(given.call) | {"parameters": parameters}))
        assert list((disk.path / "r").glob(".job-*")) == []
