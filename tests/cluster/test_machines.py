"""What README.md says of a cluster, done on three machines, of which one is then cut off."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api.client import Client
from tests.cluster.faults import (
    INPUT,
    ROW,
    begun,
    checkpointed,
    predicting,
    predictions,
    report,
    trained,
)
from tests.cluster.load import eventually
from tests.cluster.machines import ROOT, Machine, lacking, machines

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.ray, pytest.mark.skipif(bool(lacking()), reason=lacking())]

FILES = (".ray/auth_token", ".dd-ray.env")
SERVICES = [f"s{number}" for number in range(1, 10)]
"""As many of them are created as it takes until two machines have one: where is Ray's choice."""
ITERATIONS = 10_000
"""Of a training that is not done before its machine is switched off."""
SETTINGS = {
    # a machine counts as lost after 15 s, and not after Ray's 65 s
    "RAY_health_check_period_ms": 1000,
    "RAY_health_check_timeout_ms": 2000,
    "DD_RAY_CHECKPOINT_S": 0.5,
}


def commands(part: str) -> list[str]:
    """The lines of the first block of code after a word of README.md's section."""
    section = (ROOT / "README.md").read_text().split("\n## On a cluster\n")[1].split("\n## ")[0]
    block = section.split(part)[1].split("```sh\n")[1].split("```")[0]
    return block.splitlines()


def said_for(where: str, lines: list[str], head: Machine) -> str:
    """The commands of a kind of machine, by the remark at the end of each."""
    (every, own) = (f"# on {kind}" for kind in ("every machine", where))
    mine = [line for line in lines if line.rstrip().endswith((every, own))]
    assert mine
    return "\n".join(mine).replace("HEAD", head.address)


class Cluster:
    """Three machines on which the README was followed by hand."""

    def __init__(self, found: list[Machine]) -> None:
        self.machines = found
        head, *others = found
        prepared = commands("machine must have")
        head.do("\n".join(prepared))
        with (head.home / ".dd-ray.env").open("a") as settings:
            settings.writelines(f"{name}={value}\n" for name, value in SETTINGS.items())
        for other, file in ((o, f) for o in others for f in FILES):
            (other.home / file).parent.mkdir(exist_ok=True)
            shutil.copy(head.home / file, other.home / file)
        self._start()
        key = (head.home / ".dd-ray.env").read_text().splitlines()[0].partition("=")[2]
        self.headers = {"Authorization": f"Bearer {key}"}
        self.url = f"http://{head.address}:8080"

    def _start(self) -> None:
        head, *others = self.machines
        lines = commands("By hand")
        starting = said_for("the head", lines, head)
        self.serving = head.run(starting, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._wait_for("Ray runtime started")
        for other in others:
            other.do(said_for("the others", lines, head))
        self._wait_for("dd-ray listens on")

    def restart(self) -> None:
        """What docs/cluster.md says to do when the head has ended."""
        head, *others = self.machines
        self._close_serving()
        for other in others:
            other.do("ray stop --force")
        head.switch_on()
        self._start()

    def close(self) -> None:
        for each in self.machines:
            each.switch_off()
        self._close_serving()

    def _close_serving(self) -> None:
        self.serving.wait(30)
        assert self.serving.stdout is not None
        self.serving.stdout.close()

    def _wait_for(self, words: str) -> None:
        said = []
        assert self.serving.stdout is not None
        for line in self.serving.stdout:
            said.append(line)
            if words in line:
                return
        raise AssertionError("".join(said))

    def where(self, service: str) -> Machine:
        """Where the replica of a service is, once it is one."""

        def found() -> list[Machine]:
            there = (each for each in self.machines if not each.is_cut)
            return [each for each in there if runs_on(each, f"ServeReplica:s-{service}")]

        (only,) = eventually(lambda: len(found()) == 1 and found())
        assert isinstance(only, Machine)
        return only


def runs_on(machine: Machine, word: str) -> bool:
    for process in machine.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if word in " ".join(process.cmdline()):
                return True
    return False


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with machines(3, tmp_path_factory.mktemp("machines")) as found:
        cluster = Cluster(found)
        yield cluster
        cluster.close()


def test_a_machine_is_cut_off(cluster: Cluster, tmp_path: Path, iris_csv: str) -> None:
    """Its services move; calls of others do not fail. Its Ray ends when it is joined again."""
    with httpx.Client(base_url=cluster.url, headers=cluster.headers, timeout=120) as http:
        wire = Client(http)
        assert httpx.post(f"{cluster.url}/predict", json={}).status_code == 401
        at: dict[str, Machine] = {}
        for name in SERVICES:
            assert wire.create(name, str(tmp_path / "m"), mllib={"nclasses": 3})[0] == 201
            if name == SERVICES[0]:
                done = wire.train(name, iris_csv, input=INPUT, mllib={"iterations": 5})
                assert done[0] == 201, done
            at[name] = cluster.where(name)
            if len(set(at.values())) > 1:
                break
        logger.info("the services are at %s", {name: each.address for name, each in at.items()})
        head = cluster.machines[0]
        moving = next(name for name, machine in at.items() if machine is not head)
        staying = next(name for name, machine in at.items() if machine is not at[moving])
        with predicting(cluster.url, staying, cluster.headers) as load:
            began = time.monotonic()
            at[moving].cut()
            eventually(lambda: predicted(wire, moving), within_s=300)
            logger.info("the service has moved after %.0f s", time.monotonic() - began)
            assert cluster.where(moving) is not at[moving]
            at[moving].join()
            eventually(lambda: not runs_on(at[moving], "raylet/raylet"))
            load.more(20)
        assert set(load.statuses) == {200}


def test_the_head_is_switched_off(cluster: Cluster, tmp_path: Path, iris_csv: str) -> None:
    """All services are back with their models, and a training goes on."""
    names = [f"h{number}" for number in range(3)]
    with httpx.Client(base_url=cluster.url, headers=cluster.headers, timeout=120) as http:
        wire = Client(http)
        for name in names:
            trained(wire, name, tmp_path / name, iris_csv)
        before = [predictions(wire, name, iris_csv) for name in names]
        begun(wire, "t", tmp_path / "t", iris_csv, iterations=ITERATIONS)
        done = eventually(lambda: checkpointed(tmp_path / "t"))
        cluster.machines[0].switch_off()
        with pytest.raises(httpx.TransportError):
            http.get("/info", timeout=5)
    cluster.restart()
    with httpx.Client(base_url=cluster.url, headers=cluster.headers, timeout=120) as http:
        wire = Client(http)
        measure = report(wire, "t", within_s=300)["body"]["measure"]
        assert measure["iteration"] == ITERATIONS - 1 > done
        eventually(lambda: all(predicted(wire, name) for name in names), within_s=300)
        assert [predictions(wire, name, iris_csv) for name in names] == before


def predicted(wire: Client, name: str) -> bool:
    try:
        return wire.predict(name, ROW)[0] == 200
    except httpx.TimeoutException:
        return False
