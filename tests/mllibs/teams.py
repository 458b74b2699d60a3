"""Teams of workers: processes of this machine, without Ray."""

from __future__ import annotations

import multiprocessing
import pickle
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from dd_ray.mllibs.team import Team

WAIT_S = 60
_WORKERS_OF_A_NODE = 10**6
"""So many that each has one thread."""


def together(
    size: int, work: Callable[[Team], Any], *, dying: bool = False, fresh: str = ""
) -> list[Any]:
    """What `work` returns in each of so many processes, by rank; their first exception is raised.

    `team.share` goes through this process. Where some are `dying`, those are left out. What must
    not be forked out of a process that has computed with threads is out of one that has only
    imported the module `fresh`.
    """
    context: Any = multiprocessing.get_context("forkserver" if fresh else "fork")
    if fresh:
        context.set_forkserver_preload([fresh])
    sent = cloudpickle.dumps(work)
    pipes = [context.Pipe() for _ in range(size)]
    workers = [
        context.Process(target=_run, args=(sent, rank, size, pipes[rank][1]), daemon=True)
        for rank in range(size)
    ]
    for worker, (_, theirs) in zip(workers, pipes, strict=True):
        worker.start()
        theirs.close()  # so that its end is seen here
    try:
        return _results([ours for ours, _ in pipes], dying=dying)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
        for ours, _ in pipes:
            ours.close()


def _results(pipes: list[Connection], *, dying: bool) -> list[Any]:
    """Passes on what the first says until each has returned."""
    while True:
        said = []
        for pipe in pipes:
            assert pipe.poll(WAIT_S), "a worker says nothing"
            try:
                said.append(pipe.recv())
            except EOFError:
                assert dying, "a worker died"
        for kind, value in said:
            assert kind != "failed", value
        if said[0][0] == "returned":
            assert {kind for kind, _ in said} == {"returned"}
            return [value for _, value in said]
        for pipe in pipes:
            pipe.send(said[0][1])


def _run(work: bytes, rank: int, size: int, pipe: Connection) -> None:
    share = partial(_share, pipe)
    team = Team(rank=rank, size=size, on_node=_WORKERS_OF_A_NODE, share=share)
    try:
        pipe.send(("returned", pickle.loads(work)(team)))
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))


def _share(pipe: Connection, value: Any) -> Any:
    pipe.send(("shared", value))
    return pipe.recv()
