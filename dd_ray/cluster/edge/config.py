"""The configuration of HAProxy."""

from __future__ import annotations

from importlib.resources import files

_SLOT = """
backend {slot} from slot
    server serve "${{DD_RAY_EDGE_SERVE}}"
"""


def slot_names(count: int) -> list[str]:
    """The backends that services take.

    >>> slot_names(2)
    ['slot-1', 'slot-2']
    """
    return [f"slot-{number}" for number in range(1, count + 1)]


def configuration(slots: int) -> str:
    """The text of the configuration, which says what HAProxy takes from its environment."""
    text = files(__package__).joinpath("haproxy.cfg").read_text()
    return text + "".join(_SLOT.format(slot=name) for name in slot_names(slots))
