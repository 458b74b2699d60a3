"""Whether services and trainings find a place, and what they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dd_ray.services import placement
from dd_ray.services.placement import Needs, Node, Place, Resources

GIB = 2**30
T4 = "accelerator_type:T4"


def place(needs: Resources, nodes: Sequence[Node], **known: Any) -> Place:
    return placement.place(Needs(resources=needs), nodes, **known)


def several(count: int, needs: Resources, nodes: Sequence[Node], **known: Any) -> Place:
    return placement.place(Needs(resources=needs, count=count), nodes, **known)


def labelled(labels: dict[str, str], nodes: Sequence[Node], **known: Any) -> Place:
    return placement.place(Needs(resources={"CPU": 1.0}, labels=labels), nodes, **known)


SMALL = Node({"CPU": 2.0}, {"CPU": 2.0})
BUSY = Node({"CPU": 4.0, "GPU": 1.0}, {"CPU": 0.5, "GPU": 0.5})
NOT_TOGETHER = "needs 1 CPU and 0.5 GPUs, which are not free on one node"


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"CPU": 1.0, "GPU": 0.0}, Place()),
        ({"CPU": 0.5, "GPU": 0.5}, Place()),
        ({"CPU": 4.0}, Place(waits="needs 4 CPUs, 2.5 of 6 are free")),
        ({"CPU": 0.5, "GPU": 1.0}, Place(waits="needs 1 GPU, 0.5 of 1 are free")),
        ({"CPU": 1.0, "GPU": 0.5}, Place(waits=NOT_TOGETHER)),
        ({"CPU": 5.0}, Place(never="needs 5 CPUs, but no node has more than 4")),
        ({"GPU": 2.0}, Place(never="needs 2 GPUs, but no node has more than 1")),
        (
            {"memory": 1.5 * GIB},
            Place(never="needs 1.5 GiB of memory, but no node has more than 0 GiB"),
        ),
        ({T4: 0.001}, Place(never="needs an accelerator T4, but no node has it")),
    ],
)
def test_the_present_nodes_decide(needs: dict[str, float], expected: Place) -> None:
    assert place(needs, [SMALL, BUSY]) == expected


def test_it_must_all_be_on_one_node() -> None:
    gpu = Node({"CPU": 1.0, "GPU": 1.0}, {})
    found = place({"CPU": 2.0, "GPU": 1.0}, [SMALL, gpu])
    assert found == Place(never="needs 2 CPUs and 1 GPU, but no node has all of it")


def test_a_kind_of_node_that_may_come_is_waited_for() -> None:
    growth = [{"CPU": 16.0, "GPU": 8.0}]
    assert place({"GPU": 8.0}, [SMALL], growth=growth).waits == "needs 8 GPUs, 0 of 0 are free"
    assert place({"GPU": 9.0}, [SMALL], growth=growth).never.endswith("no node has more than 8")
    assert place({"GPU": 9.0}, [SMALL], grows_unknown=True).waits == (
        "needs 9 GPUs, 0 of 0 are free"
    )


def test_without_a_node_nothing_can_run() -> None:
    assert place({"CPU": 1.0}, []).never == "needs 1 CPU, but no node has more than 0"


def test_a_type_of_accelerator_is_on_the_nodes_that_have_it() -> None:
    node = Node({"GPU": 1.0, T4: 1.0}, {"GPU": 1.0, T4: 1.0})
    assert place({"GPU": 1.0, T4: 0.001}, [SMALL, node]) == Place()


def test_tenths_of_a_gpu_add_up_to_it() -> None:
    node = Node({"GPU": 1.0}, {"GPU": 0.3})
    assert several(10, {"GPU": 0.1}, [node]).never == ""
    assert several(3, {"GPU": 0.1}, [node]) == Place()
    assert several(11, {"GPU": 0.1}, [node]).never.endswith("but there is room for 10 at most")


def test_several_are_counted_over_all_nodes() -> None:
    assert several(2, {"CPU": 1.0}, [SMALL, BUSY]) == Place()
    waits = "needs 1 CPU 3 times, there is room for 2 now"
    assert several(3, {"CPU": 1.0}, [SMALL, BUSY]) == Place(waits=waits)
    never = "needs 2 CPUs 4 times, but there is room for 3 at most"
    assert several(4, {"CPU": 2.0}, [SMALL, BUSY]) == Place(never=never)


def test_a_kind_of_node_that_may_come_comes_as_often_as_needed() -> None:
    found = several(9, {"CPU": 2.0}, [SMALL], growth=[{"CPU": 2.0}])
    assert found == Place(waits="needs 2 CPUs 9 times, there is room for 1 now")


def test_only_nodes_with_all_labels_count() -> None:
    a = Node({"CPU": 1.0}, {"CPU": 1.0}, {"zone": "a", "disk": "ssd"})
    b = Node({"CPU": 4.0}, {"CPU": 0.0}, {"zone": "b"})
    assert labelled({"zone": "a"}, [a, b]) == Place()
    assert labelled({"zone": "b"}, [a, b]) == Place(waits="needs 1 CPU, 0 of 4 are free")
    missing = "needs a node with zone=b, disk=ssd, but there is none"
    assert labelled({"zone": "b", "disk": "ssd"}, [a, b]) == Place(never=missing)
    assert labelled({"zone": "c"}, [a], grows_unknown=True).waits == "needs a node with zone=c"
