"""Mustache templates over the answer of a predict call."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import chevron
from chevron import renderer, tokenizer

from dd_ray.errors import BadParameter
from dd_ray.settings import settings

MAX_TAGS = 10_000
"""Tags of a template: the renderer's time grows with them."""

_MAX_REPEATED = 10**7
"""Times that the innermost of nested sections may be gone through."""

_NUMBER = 16
"""Characters of a number with six digits, or of `true`, at most."""

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
    """Refuses a template whose output could be longer than the limit.

    An upper bound: a section is repeated as often as the longest list of its name in the answer
    has elements, and each value is as long as the longest of its name.
    """
    limit = settings().max_template_chars
    sizes = _Sizes()
    sizes.add(answer, ".")
    size, factor, factors = 0, 1, []
    for kind, text in tokens:
        name = text.rpartition(".")[2] or "."
        if kind in ("section", "inverted section"):
            factors.append(factor)
            factor *= sizes.times.get(name, 1) if kind == "section" else 1
        elif kind == "end":
            factor = factors.pop() if factors else 1
        elif kind == "literal":
            size += len(text) * factor
        else:
            size += sizes.chars.get(name, 0) * factor
        if size > limit or factor > _MAX_REPEATED:
            raise BadParameter(f"{_WHERE}: its output could be longer than {limit} characters")


class _Sizes:
    """By the names in an answer: elements of the longest list, characters of the longest value.

    Under `.` are those of the elements of lists, which have no names.
    """

    def __init__(self) -> None:
        self.times: dict[str, int] = {}
        self.chars: dict[str, int] = {}

    def add(self, value: Any, name: str) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                self.add(item, key)
        elif isinstance(value, list):
            self.times[name] = max(self.times.get(name, 1), len(value))
            for item in value:
                self.add(item, "." if not isinstance(item, Mapping) else name)
        else:
            shown = len(html.escape(value)) if isinstance(value, str) else _NUMBER
            self.chars[name] = max(self.chars.get(name, 0), shown)


def _shown(value: Any) -> Any:
    """The answer with numbers and booleans as the templates show them."""
    if isinstance(value, Mapping):
        return _Object({key: _shown(item) for key, item in value.items()})
    if isinstance(value, list):
        return _Array([_shown(item) for item in value])
    if value is True:
        return "true"
    if isinstance(value, float):
        return f"{value:g}"
    return value


class _Object(dict[str, Any]):
    """An object that a tag shows as nothing, as DeepDetect does."""

    def __str__(self) -> str:
        return ""


class _Array(list[Any]):
    """An array that a tag shows as nothing."""

    def __str__(self) -> str:
        return ""
