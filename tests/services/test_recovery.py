"""What becomes of stored jobs when a server starts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dd_ray.services.handout import Handout
from dd_ray.services.jobs import Job, Status
from dd_ray.services.recovery import Fate, fate, has_litter
from dd_ray.services.schema import StoredJob

STORED = StoredJob(
    job=Job(service="s", id=1, key="k", accepted=0.0),
    ended=None,
    repository="/r",
    folder=True,
    held=True,
    handout=Handout(),
    call={},
    batches=0,
)


@pytest.mark.parametrize(
    ("status", "held", "service_there", "expected", "litter"),
    [
        (Status.QUEUED, True, True, Fate.GO_ON, False),
        (Status.RUNNING, True, True, Fate.GO_ON, False),
        (Status.FINISHED, True, True, Fate.HAND_OUT, True),
        (Status.ERROR, True, True, Fate.HAND_OUT, True),
        (Status.TERMINATED, True, True, Fate.HAND_OUT, True),
        (Status.FINISHED, False, True, Fate.PAST, True),
        (Status.FINISHED, True, False, Fate.PAST, True),
        (Status.RUNNING, True, False, Fate.PAST, True),
    ],
)
def test_fates(
    status: Status, held: bool, service_there: bool, expected: Fate, litter: bool
) -> None:
    stored = replace(STORED, job=replace(STORED.job, status=status), held=held)
    found = fate(stored, service_there=service_there)
    assert (found, has_litter(stored, found)) == (expected, litter)
    assert not has_litter(replace(stored, folder=False), found)
