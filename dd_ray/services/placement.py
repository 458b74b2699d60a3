"""Whether a service or a training finds a place on the cluster, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Resources = Mapping[str, float]
"""Amounts by name: CPU, GPU, memory in bytes, and Ray's names of what else a node has."""

ACCELERATOR = "accelerator_type:"
"""Begins the name under which a node has a type of accelerator."""

_FIT = 1e-6
"""Ray counts in steps of a ten-thousandth, whose sums are not exact."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster."""

    total: Resources
    free: Resources
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a service or a training needs: so many processes that need so much of a node each."""

    resources: Resources
    labels: Mapping[str, str] = field(default_factory=dict)
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is known of a place."""

    never: str = ""
    """Why there will be none; empty when there may be one."""
    waits: str = ""
    """What it waits for; empty when there is room."""


def place(
    needs: Needs,
    nodes: Sequence[Node],
    *,
    growth: Sequence[Resources] = (),
    grows_unknown: bool = False,
) -> Place:
    """Where something stands that needs so much.

    `growth` are the kinds of node that an autoscaler may add: what none of them and no present
    node has, there will never be, unless nobody knows what may be added, `grows_unknown`. Without
    an autoscaler the present nodes decide. Labels of nodes to come are not known and may fit.

    >>> node = Node({"CPU": 2, "GPU": 1}, {"CPU": 2, "GPU": 0})
    >>> place(Needs(resources={"CPU": 1, "GPU": 1}), [node]).waits
    'needs 1 GPU, 0 of 1 are free'
    >>> place(Needs(resources={"CPU": 4}), [node]).never
    'needs 4 CPUs, but no node has more than 2'
    >>> place(Needs(resources={"CPU": 1}, count=3), [node]).never
    'needs 1 CPU 3 times, but there is room for 2 at most'
    """
    one = {name: amount for name, amount in needs.resources.items() if amount > 0}
    able = [node for node in nodes if needs.labels.items() <= node.labels.items()]
    grows = grows_unknown or any(_times(one, kind) for kind in growth)
    if not grows:
        if not able and needs.labels:
            return Place(never=f"needs a node with {_labels(needs.labels)}, but there is none")
        room = sum(_times(one, node.total) for node in able)
        if not room:
            return Place(never=_lacking(one, [*(node.total for node in able), *growth]))
        if room < needs.count:
            most = f"but there is room for {room} at most"
            return Place(never=f"needs {_listed(one)} {needs.count} times, {most}")
    room = sum(_times(one, node.free) for node in able)
    if room >= needs.count:
        return Place()
    if needs.count > 1:
        return Place(
            waits=f"needs {_listed(one)} {needs.count} times, there is room for {room} now"
        )
    if not able and needs.labels:
        return Place(waits=f"needs a node with {_labels(needs.labels)}")
    return Place(waits=_awaited(one, able))


def _times(one: Resources, there: Resources) -> int:
    """How many processes find room; as good as endless where they need nothing."""
    counts = [int(there.get(name, 0) / amount + _FIT) for name, amount in one.items()]
    return min(counts, default=10**9)


def _lacking(one: Resources, totals: Sequence[Resources]) -> str:
    most = {name: max((total.get(name, 0) for total in totals), default=0) for name in one}
    for name, amount in one.items():
        if amount > most[name] + _FIT:
            if name.startswith(ACCELERATOR):
                return f"needs {_named(name, amount)}, but no node has it"
            return f"needs {_named(name, amount)}, but no node has more than {_of(name, most)}"
    return f"needs {_listed(one)}, but no node has all of it"


def _awaited(one: Resources, nodes: Sequence[Node]) -> str:
    """The first thing of which no node has enough, counted over all; all where one node would."""
    for name, amount in one.items():
        if not any(_times({name: amount}, node.free) for node in nodes):
            free = {name: sum(node.free.get(name, 0) for node in nodes)}
            total = {name: sum(node.total.get(name, 0) for node in nodes)}
            return f"needs {_named(name, amount)}, {_of(name, free)} of {_of(name, total)} are free"
    return f"needs {_listed(one)}, which are not free on one node"


def _listed(one: Resources) -> str:
    return " and ".join(_named(name, amount) for name, amount in one.items())


def _named(name: str, amount: float) -> str:
    if name == "memory":
        return f"{_of(name, {name: amount})} of memory"
    if name.startswith(ACCELERATOR):
        return f"an accelerator {name.removeprefix(ACCELERATOR)}"
    return f"{amount:g} {name}{'' if amount == 1 or name not in ('CPU', 'GPU') else 's'}"


def _of(name: str, amounts: Resources) -> str:
    """An amount in its unit."""
    amount = amounts[name]
    return f"{amount / 2**30:.3g} GiB" if name == "memory" else f"{amount:g}"


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())
