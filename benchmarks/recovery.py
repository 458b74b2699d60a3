"""What clients see of faults, and how long it takes until all is as it was.

    python -m benchmarks.recovery [--repeats 3]

Kills processes of a server of its own, and fills disks, for which it mounts small ones: run it as
root. These are the faults of tests/cluster/test_faults.py and test_restart.py, which look at more.
Prints a table.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
from sklearn.datasets import load_iris

from benchmarks.support import machine
from tests.api.client import Client
from tests.cluster.conftest import SETTINGS
from tests.cluster.faults import (
    INPUT,
    MLLIB,
    ROW,
    api,
    begun,
    checkpointed,
    edge,
    fill_home,
    iteration,
    kill,
    kill_everything,
    predicting,
    process,
    report,
    trained,
)
from tests.cluster.load import Load, eventually
from tests.cluster.servers import Server, running
from tests.disks import Disk, small_disk

ENDLESS = {"iterations": 1_000_000, "test_interval": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server with services of their own names, and where a fault may put files."""

    server: Server
    url: str
    wire: Client
    home: Disk
    folder: Path
    data: str


Seen = tuple[float, str]
"""Seconds until all was as before, and what a client saw."""


def since(began: float) -> float:
    return time.monotonic() - began


def told(load: Load) -> str:
    failures = [f"{count} x {status}" for status, count in load.statuses.items() if status != 200]
    said = ", ".join(failures) or "no error"
    return f"{said}, longest call {load.longest_s:.1f} s"


def under(load: Load, strike: Callable[[], object]) -> Seen:
    """Strikes under a load that begins now; until an answer after that."""
    with load:
        load.longest_s = 0.0
        strike()
        began = time.monotonic()
        load.more(1)
        took_s = since(began)
        load.more(100)
    return took_s, told(load)


def service_replica(place: Place) -> Seen:
    trained(place.wire, "s", place.folder, place.data)
    body = {"service": "s", "data": [ROW]}
    load = Load(place.url, [("POST", "/predict", body)])
    return under(load, lambda: kill(process(place.server, "ServeReplica:s-s")))


def api_replica(place: Place) -> Seen:
    trained(place.wire, "s", place.folder, place.data)
    load = Load(place.url, [("GET", "/services/s", None)])
    return under(load, lambda: kill(api(place.server)))


def public_edge(place: Place) -> Seen:
    trained(place.wire, "s", place.folder, place.data)
    load = Load(place.url, [("POST", "/predict", {"service": "s", "data": [ROW]})])
    return under(load, lambda: kill(edge(place.server)))


def state(place: Place) -> Seen:
    begun(place.wire, "s", place.folder, place.data, **ENDLESS)
    eventually(lambda: iteration(place.wire, "s") > 0)
    load = Load(place.url, [("GET", "/train?service=s&job=1", None)])
    return under(load, lambda: kill(process(place.server, "ray::StateActor")))


def training(place: Place, *others: str) -> Seen:
    """Until it is further than when it was killed."""
    begun(place.wire, "s", place.folder, place.data, **ENDLESS)
    eventually(lambda: checkpointed(place.folder))
    dying = [process(place.server, name) for name in ("ray::JobActor", *others)]
    reached = iteration(place.wire, "s")
    began = time.monotonic()
    for each in dying:
        each.kill()
    psutil.wait_procs(dying, 10)
    eventually(lambda: iteration(place.wire, "s") > reached)
    return since(began), "`running` all the time"


def training_and_state(place: Place) -> Seen:
    return training(place, "ray::StateActor")


def dying_again(place: Place) -> Seen:
    """Until it is an error."""
    begun(place.wire, "s", place.folder, place.data, **ENDLESS)
    died = set()
    for _ in range(3):
        dying = eventually(
            lambda: (p := process(place.server, "ray::JobActor")).pid not in died and p
        )
        died.add(dying.pid)
        kill(dying)
    began = time.monotonic()
    error = report(place.wire, "s")["body"]["Error"]
    return since(began), f"`error`, {error['dd_code']}: {error['dd_msg']}"


def full_repository(place: Place) -> Seen:
    """Until the training that was repeated with room has ended."""
    with small_disk(place.folder / "disk", megabytes=4) as disk:
        trained(place.wire, "s", disk.path / "s", place.data)
        disk.fill(but=60_000)
        given = {"input": INPUT, "mllib": MLLIB}
        with predicting(place.url, "s") as load:
            place.wire.train("s", place.data, blocking=False, **given)
            error = report(place.wire, "s")["body"]["Error"]
        disk.make_room()
        began = time.monotonic()
        assert place.wire.train("s", place.data, input=INPUT, mllib={"iterations": 5})[0] == 201
        took_s = since(began)
        reason = error["dd_msg"].rpartition(": ")[2]
        place.wire.call("DELETE", "/services/s")
    seen = f"training: `error`, {error['dd_code']}: cannot write ...: {reason}"
    return took_s, f"{seen}; predictions: {told(load)}"


def full_home(place: Place) -> Seen:
    """Until a service that was refused is made."""
    trained(place.wire, "s", place.folder / "s", place.data)
    fill_home(place.home)
    with predicting(place.url, "s") as load:
        code, answer = place.wire.create("t", str(place.folder / "t"), mllib={"nclasses": 3})
        assert code == 503
    place.home.make_room()
    began = time.monotonic()
    code, _ = place.wire.create("t", str(place.folder / "t"), mllib={"nclasses": 3})
    assert code == 201
    seen = f"PUT, POST /train, DELETE: {answer['status']['dd_code']}: {answer['status']['dd_msg']}"
    return since(began), f"{seen}; predictions: {told(load)}"


def everything(place: Place) -> Seen:
    """From the start of the next server until a service predicts and the training is further."""
    env = SETTINGS | {"DD_RAY_HOME": str(place.folder / "home"), "DD_RAY_WARM": "xgboost"}
    with running(env=env) as (server, url), httpx.Client(base_url=url, timeout=120) as http:
        trained(Client(http), "other", place.folder / "other", place.data)
        begun(Client(http), "s", place.folder / "s", place.data, **ENDLESS)
        eventually(lambda: checkpointed(place.folder / "s"))
        reached = iteration(Client(http), "s")
        kill_everything(server)
    began = time.monotonic()
    with running(env=env) as (_, url), httpx.Client(base_url=url, timeout=120) as http:
        listens_s = since(began)
        eventually(lambda: Client(http).predict("other", ROW)[0] == 200)
        predicts_s = since(began)
        eventually(lambda: iteration(Client(http), "s") > reached)
        took_s = since(began)
    return (
        took_s,
        f"nobody listens for {listens_s:.0f} s, predictions again after {predicts_s:.0f} s",
    )


FAULTS: dict[str, tuple[str, Callable[[Place], Seen]]] = {
    "service replica": ("`kill -9` while two clients predict", service_replica),
    "API replica": ("`kill -9` while two clients GET /services/s", api_replica),
    "edge": ("`kill -9` of its HAProxy while two clients predict", public_edge),
    "state": ("`kill -9` while two clients GET /train", state),
    "training": ("`kill -9` of its process after a checkpoint", training),
    "training and state": ("`kill -9` of both at once", training_and_state),
    "training that always dies": ("`kill -9` three times before it gets further", dying_again),
    "the whole machine": ("`kill -9` of all processes, `dd-ray serve` again", everything),
    "repository's disk is full": (
        "60 kB are left when a training begins",
        full_repository,
    ),
    "DD_RAY_HOME's disk is full": ("nothing is left of it", full_home),
}


@contextmanager
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="dd-ray-") as name:
        folder = Path(name)
        data = folder / "iris.csv"
        write_iris(data)
        with (
            small_disk(folder / "home", megabytes=16) as home,
            running(env=SETTINGS | {"DD_RAY_HOME": str(home.path)}) as (server, url),
            httpx.Client(base_url=url, timeout=120) as http,
        ):
            yield Place(
                server=server,
                url=url,
                wire=Client(http),
                home=home,
                folder=folder,
                data=str(data),
            )


def write_iris(path: Path) -> None:
    data = load_iris()
    lines = ["id,a,b,c,d,target"]
    for i, (row, target) in enumerate(zip(data.data, data.target, strict=True)):
        lines.append(",".join([str(i), *map(str, row), str(target)]))
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print("| fault | how it is provoked | what a client saw | s to recover: median, all |")
    print("|---|---|---|---|")
    with place() as given:
        for name, (how, provoke) in FAULTS.items():
            times, seen = [], ""
            for repeat in range(repeats):
                folder = given.folder / f"{name}-{repeat}".replace(" ", "-")
                folder.mkdir()
                took_s, seen = provoke(replace(given, folder=folder))
                times.append(took_s)
                for service in given.wire.call("GET", "/info")[1]["head"]["services"]:
                    given.wire.call("DELETE", f"/services/{service['name']}")
            all_of_them = ", ".join(f"{took_s:.1f}" for took_s in times)
            middle = statistics.median(times)
            print(f"| {name} | {how} | {seen} | {middle:.1f} ({all_of_them}) |", flush=True)
    print(f"\n{machine()}; {repeats} times each, what was seen is the last time's")


if __name__ == "__main__":
    main()
