"""Several nodes: where work goes, what waits for a place, and what is lost with a node."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from dd_ray.cluster.flags import serve_flags
from tests.api.client import Client
from tests.cluster.faults import (
    INPUT,
    OUTPUT,
    ROW,
    checkpointed,
    iteration,
    predicting,
    report,
)
from tests.cluster.load import eventually
from tests.cluster.nodes import RayNode, node, runs_on
from tests.cluster.servers import ray_head, running

pytestmark = pytest.mark.ray

HALF = {"num_gpus": 0.6}
"""More than half of a GPU: two of these are on two nodes."""

LONG = {"iterations": 4000, "test_interval": 50, "booster_params": {"max_depth": 3}}
"""A training that is under way while a node is lost."""

AS_LONG = 2000
"""Iterations of one by two workers, which take longer for each: it goes on while another starts."""


class Nodes:
    """A server on a head without GPUs, and nodes with one GPU each."""

    def __init__(self, address: str, url: str, wire: Client, ending: ExitStack) -> None:
        self.url = url
        self.wire = wire
        self.nodes: dict[str, RayNode] = {}
        self._address = address
        self._ending = ending

    def add(self, zone: str) -> None:
        options = ("--num-cpus=2", "--num-gpus=1", f"--labels=zone={zone},pool=gpu")
        self.nodes[zone] = self._ending.enter_context(node(self._address, *options))

    def another(self, zone: str, *, without: Path) -> AbstractContextManager[RayNode]:
        """A node for a while, that has another folder in the place of one."""
        return node(self._address, "--num-cpus=1", f"--labels=zone={zone}", without=without)

    def lose(self, zone: str) -> None:
        self.nodes.pop(zone).kill()

    def where(self, *words: str) -> str:
        """The zone of the one process with these words in its name, once it is there."""
        zones = eventually(
            lambda: [zone for zone, each in self.nodes.items() if runs_on(each, *words)]
        )
        (zone,) = zones
        return str(zone)

    def create(self, name: str, path: Path, **mllib: Any) -> tuple[int, str]:
        code, answer = self.wire.create(name, str(path / name), mllib={"nclasses": 3} | mllib)
        return code, answer["status"].get("dd_msg", "")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    flags = serve_flags({})
    with ExitStack() as ending:
        folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="ddr-", dir="/tmp"))
        address = ending.enter_context(ray_head(Path(folder), flags, "--labels=zone=head"))
        env = flags | {"DD_RAY_CHECKPOINT_S": "0.2", "DD_RAY_WARM": ""}
        nodes_first = ExitStack()
        ending.enter_context(nodes_first)
        _, url = ending.enter_context(running("--ray-address", address, env=env))
        http = ending.enter_context(httpx.Client(base_url=url, timeout=300))
        found = Nodes(address, url, Client(http), nodes_first)
        for zone in ("a", "b"):
            found.add(zone)
        yield found


def test_services_and_trainings_have_their_places(
    nodes: Nodes, tmp_path: Path, iris_csv: str
) -> None:
    """By label and by share of a GPU; what has none waits for it or is refused."""
    for zone in ("b", "a"):
        in_zone = {"labels": {"zone": zone}, "num_gpus": 0.5}
        eventually(
            lambda z=zone, r=in_zone: nodes.create(f"in-{z}", tmp_path, resources=r)[0] == 201
        )
        assert nodes.where(f"s-in-{zone}") == zone
    code, why = nodes.create("nowhere", tmp_path, resources={"labels": {"zone": "c"}})
    assert code == 400
    assert "can never run here: it needs a node with zone=c, but there is none" in why
    code, why = nodes.create("large", tmp_path, resources={"num_gpus": 2})
    assert code == 400
    assert "needs 2 GPUs, but no node has more than 1" in why
    code, answer = nodes.wire.train("in-a", iris_csv, mllib={"resources": {"num_cpus": 64}})
    assert code == 400
    assert "needs 64 CPUs, but no node has more than" in answer["status"]["dd_msg"]

    needs = {"gpu": True, "resources": {"labels": {"zone": "a"}} | HALF, "iterations": 3}
    given = {"input": INPUT, "mllib": needs, "output": OUTPUT}
    assert nodes.wire.train("in-a", iris_csv, blocking=False, **given)[0] == 201
    reason = "needs 0.6 GPUs, 0.5 of 1 are free"
    eventually(lambda: _item(nodes, "in-a").get("waiting") == reason)
    code, answer = nodes.wire.call("GET", "/train?service=in-a&job=1")
    assert (code, answer["body"]["waiting"]) == (200, reason)
    assert nodes.wire.call("DELETE", "/train?service=in-a&job=1")[0] == 200
    for zone in ("a", "b"):
        assert nodes.wire.call("DELETE", f"/services/in-{zone}")[0] == 200


def test_a_node_without_the_repository_is_named(nodes: Nodes, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()

    def refusal() -> str:
        """Why no service can be created there; nothing before the node is known to Ray."""
        code, why = nodes.create("s", own)
        assert code == 400 or nodes.wire.call("DELETE", "/services/s")[0] == 200
        return why

    with nodes.another("c", without=own):
        why = eventually(refusal)
        assert why.count("cannot use") == 1
        named = rf"model\.repository: node [\d.]+ \(\S+\) cannot use {own}/s \(it has another"
        assert re.search(named, why), why
        assert "expected a folder on a file system that all nodes have, or an s3://" in why
        assert nodes.create("s", tmp_path)[0] == 201
        assert nodes.wire.call("DELETE", "/services/s")[0] == 200


@pytest.mark.timeout(900)  # its three nodes share two CPUs
def test_a_node_is_lost_and_another_comes(nodes: Nodes, tmp_path: Path, iris_csv: str) -> None:
    """What can be elsewhere goes on there, what cannot waits, and others notice nothing."""
    given = {"input": INPUT, "output": OUTPUT}

    def served(name: str, **resources: Any) -> None:
        mllib = {"nclasses": 3, "resources": resources}
        assert nodes.wire.create(name, str(tmp_path / "m"), mllib=mllib)[0] == 201

    def trains(name: str, **mllib: Any) -> None:
        call = given | {"mllib": LONG | mllib}
        assert nodes.wire.train(name, iris_csv, blocking=False, **call)[0] == 201
        eventually(lambda: iteration(nodes.wire, name) > 0)

    served("staying", labels={"zone": "head"})
    assert nodes.wire.train("staying", iris_csv, mllib={"iterations": 5}, **given)[0] == 201
    served("moving", num_gpus=0.3)
    lost = nodes.where("s-moving")
    (other,) = nodes.nodes.keys() - {lost}
    served("bound", labels={"zone": lost})
    for name in ("together", "alone"):
        assert nodes.create(name, tmp_path)[0] == 201
    served("full", labels={"zone": other}, num_gpus=0.9)
    trains(
        "together",
        iterations=AS_LONG,
        workers=2,
        resources={"num_cpus": 1.2, "labels": {"pool": "gpu"}},
    )
    trains("alone", resources={"num_cpus": 0, "num_gpus": 0.6})
    for name in ("alone", "together"):
        eventually(lambda name=name: checkpointed(tmp_path / name))
    assert runs_on(nodes.nodes[lost], "JobActor")

    with predicting(nodes.url, "staying") as load:
        nodes.lose(lost)
        assert nodes.wire.call("DELETE", "/services/full")[0] == 200
        eventually(lambda: nodes.wire.predict("moving", ROW)[0] == 200)
        assert nodes.where("s-moving") == other
        reason = "needs 1.2 CPUs 2 times, but there is room for 1 at most"
        eventually(lambda: _item(nodes, "together").get("waiting") == reason)
        assert report(nodes.wire, "alone")["head"]["status"] == "finished"
        told = nodes.wire.call("GET", "/services/bound")[1]["body"]["problem"]
        assert told == f"no replica is up: it needs a node with zone={lost}, but there is none"
        load.more(20)
        nodes.add(lost)
        answer = report(nodes.wire, "together", within_s=400)
        assert answer["head"]["status"] == "finished", answer
        eventually(lambda: nodes.wire.predict("bound", ROW)[0] == 200)
        load.more(20)
    assert set(load.statuses) == {200}
    tested = answer["body"]["measure_hist"]["iteration_hist"]
    assert tested == sorted(set(tested))
    assert tested[-1] == AS_LONG - 1
    assert nodes.wire.predict("together", ROW)[0] == nodes.wire.predict("alone", ROW)[0] == 200


def _item(nodes: Nodes, service: str) -> dict[str, Any]:
    """The one job of a service as GET /services/{name} shows it."""
    code, answer = nodes.wire.call("GET", f"/services/{service}")
    assert code == 200, answer
    (item,) = answer["body"]["jobs"]
    return dict(item)
