"""A short version of benchmarks/soak.py: what is given back."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from benchmarks.soak import Phase, Usage, soak, table
from tests.api.client import Client
from tests.cluster.servers import Server

HANDLES = 60
"""What the pool of idle workers may have more: one of them has about as many."""


def test_slopes_are_those_after_warming_up() -> None:
    usages = [Usage(500.0 if i < 3 else 100.0 + i, 10.0, 5.0, 0.0) for i in range(9)]
    phase = Phase(name="x", done=list(range(10, 100, 10)), usages=usages)
    assert phase.slope("memory_mb") == pytest.approx(10.0)
    assert phase.slope("handles") == pytest.approx(0.0, abs=1e-9)
    assert phase.ends("memory_mb") == (103.0, 108.0)
    assert "| x | 90 | 103, 108, +10.00 |" in table([phase])


@pytest.mark.ray
def test_services_predictions_and_trainings_are_given_back(
    server_and_url: tuple[Server, str], wire: Client, tmp_path: Path
) -> None:
    server, _ = server_and_url
    root = psutil.Process(server.process.pid)
    often = {"cycles": 3, "predicts": 300, "trainings": 3, "samples": 3}
    phases = soak(wire.http, root, tmp_path, **often, settle_s=0.5)  # type: ignore[arg-type]
    cycles, predicts, trainings = phases
    for phase in (cycles, trainings):
        warm, end = phase.ends("processes")
        assert end <= warm + 2, phase
        warm, end = phase.ends("handles")
        assert end <= warm + 2 * HANDLES, phase
    warm, end = predicts.ends("processes")
    assert end <= warm
    for phase in phases:
        warm, end = phase.ends("objects")
        assert end <= warm + 20, phase
    assert predicts.ends("memory_mb")[1] < predicts.ends("memory_mb")[0] + 60
