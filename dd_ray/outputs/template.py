"""Mustache templates over the answer of a predict call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import chevron
from chevron import renderer, tokenizer

from dd_ray.errors import BadParameter

MAX_OUTPUT = 16 * 2**20
"""Characters of a rendered template; nested sections multiply."""

MAX_TAGS = 10_000
"""Tags of a template: the renderer's time grows with them."""

_WHERE = "parameters.output.template"


def render(template: str, answer: Mapping[str, Any]) -> str:
    """The template over the whole answer, as standard Mustache but for numbers.

    Floats have six significant digits, as in the reference's example. Partials are empty. Raises
    BadParameter for a malformed template or one whose output is too long.
    """
    if template.count("{{") > MAX_TAGS:
        raise BadParameter(f"{_WHERE}: more than {MAX_TAGS} tags")
    try:
        tokens = list(tokenizer.tokenize(template))
        _check_size(tokens, answer)
        text: str = chevron.render(tokens, _shown(answer), partials_path=None, partials_dict={})
    except (chevron.ChevronError, SyntaxError) as exc:
        raise BadParameter(f"{_WHERE}: {str(exc).splitlines()[0]}") from exc
    except (IndexError, RecursionError, TypeError, ValueError) as exc:
        raise BadParameter(f"{_WHERE}: malformed template") from exc
    finally:
        renderer.g_token_cache.clear()  # it would keep every template for ever
    return text


def _check_size(tokens: list[tuple[str, str]], answer: Mapping[str, Any]) -> None:
    """Refuses a template whose nested sections could go past MAX_OUTPUT.

    An upper bound: every list of the answer repeats what is inside its section.
    """
    widest = max(_longest(answer), 1)
    size, factor, factors = 0, 1, []
    for kind, text in tokens:
        if kind in ("section", "inverted section"):
            factors.append(factor)
            factor *= widest if kind == "section" else 1
        elif kind == "end":
            factor = factors.pop() if factors else 1
        size += len(text) * factor
        if size > MAX_OUTPUT * 64 or factor > 10**9:
            raise BadParameter(f"{_WHERE}: its output could be longer than {MAX_OUTPUT} characters")


def _longest(value: Any) -> int:
    if isinstance(value, Mapping):
        return max(map(_longest, value.values()), default=0)
    if isinstance(value, list):
        return max(len(value), max(map(_longest, value), default=0))
    return 0


def _shown(value: Any) -> Any:
    """The answer with numbers and booleans as the templates show them."""
    if isinstance(value, Mapping):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if value is True:
        return "true"
    if isinstance(value, float):
        return f"{value:g}"
    return value
