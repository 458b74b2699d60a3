"""A cluster on machines of its own, made by hand as README.md says it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Mapping

import psutil

from tests.cluster.load import eventually
from tests.cluster.machines import ROOT, Machine

FILES = (".ray/auth_token", ".dd-ray.env")
"""What all machines must have, the same on all."""

SERVICES = [f"s{number}" for number in range(1, 10)]
"""As many of them are created as it takes until another machine has one: where is Ray's choice."""

_SETTINGS = {
    "DD_RAY_CHECKPOINT_S": 0.5,
    "DD_RAY_WARM": "xgboost",  # several machines in one have no time for more
}


def commands(part: str) -> list[str]:
    """The lines of the first block of code after a word of README.md's section."""
    block = _after(part).split("```sh\n")[1].split("```")[0]
    return block.splitlines()


def inline(part: str) -> list[str]:
    """The commands within the line that begins with a word of README.md's section."""
    line, *_ = _after(part).splitlines()
    return line.split("`")[1::2]


def _after(part: str) -> str:
    section = (ROOT / "README.md").read_text().split("\n## On a cluster\n")[1].split("\n## ")[0]
    return section.split(part)[1]


def said_for(where: str, lines: list[str], head: Machine) -> str:
    """The commands of a kind of machine, by the remark at the end of each."""
    (every, own) = (f"# on {kind}" for kind in ("every machine", where))
    mine = [line for line in lines if line.rstrip().endswith((every, own))]
    assert mine
    return "\n".join(mine).replace("HEAD", head.address)


class Cluster:
    """Machines on which the README is followed by hand; the first is Ray's head.

    `settings` are more than those that all have, `for_head` is a command before Ray starts on the
    head.
    """

    def __init__(
        self,
        found: list[Machine],
        settings: Mapping[str, object] | None = None,
        *,
        for_head: str = "true",
    ) -> None:
        self._for_head = for_head
        self.machines = found
        head, *others = found
        head.do("\n".join(commands("machine must have")))
        with (head.home / ".dd-ray.env").open("a") as file:
            own = {**_SETTINGS, **(settings or {})}
            file.writelines(f"{name}={value}\n" for name, value in own.items())
        for other, name in ((o, f) for o in others for f in FILES):
            (other.home / name).parent.mkdir(exist_ok=True)
            shutil.copy(head.home / name, other.home / name)
        key = (head.home / ".dd-ray.env").read_text().splitlines()[0].partition("=")[2]
        self.headers = {"Authorization": f"Bearer {key}"}
        self.url = f"http://{head.address}:8080"
        self._running: list[subprocess.Popen[str]] = []

    def start_ray(self) -> None:
        head, *others = self.machines
        self.start_head()
        for other in others:
            other.do(said_for("the others", commands("By hand"), head))

    def start_head(self) -> None:
        head = self.machines[0]
        *lines, _ = commands("By hand")
        head.do(f"{self._for_head}\n{said_for('the head', lines, head)}")

    def serve(self) -> None:
        """Starts the server, on the head."""
        head = self.machines[0]
        environment, *_, serve = commands("By hand")
        self.run_until(head, said_for("the head", [environment, serve], head), "dd-ray listens on")

    def stop_serving(self) -> None:
        """Ends the server; Ray goes on."""
        shell = self._running[-1]
        family = psutil.Process(shell.pid).children(recursive=True)
        (serving,) = [process for process in family if words_of(process)[2:3] == ["serve"]]
        serving.terminate()
        shell.wait(60)

    def in_environment(self, command: str) -> str:
        """A command as somebody gives it who has logged in on one of them."""
        environment, *_ = commands("By hand")
        return f"{environment}\n{command}"

    def run_until(self, machine: Machine, command: str, words: str) -> None:
        """Starts a command there, which goes on; returns when it has said the words."""
        running = machine.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._running.append(running)
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if words in line:
                return
        raise AssertionError("".join(said))

    def restart(self) -> None:
        """What docs/cluster.md says to do when the head has ended."""
        head, *others = self.machines
        for other in others:
            other.do("ray stop --force")
        head.switch_on()
        self.start_ray()
        self.serve()

    def close(self) -> None:
        for each in self.machines:
            each.switch_off()
        for running in self._running:
            running.wait(30)
            assert running.stdout is not None
            running.stdout.close()

    def where(self, service: str) -> Machine:
        """Where the replica of a service is, once it is one."""

        def found() -> list[Machine]:
            there = (each for each in self.machines if not each.is_cut)
            return [each for each in there if runs_on(each, f"ServeReplica:s-{service}")]

        (only,) = eventually(lambda: len(found()) == 1 and found())
        assert isinstance(only, Machine)
        return only


def runs_on(machine: Machine, word: str) -> bool:
    return any(word in " ".join(words_of(process)) for process in machine.processes())


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing when it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []
