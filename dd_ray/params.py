"""The base of all parameter models: typed, frozen, documented, forgiving about unknown keys."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from dd_ray.errors import ApiError, BadParameter

logger = logging.getLogger(__name__)

P = TypeVar("P", bound="Params")


def _integral(value: Any) -> Any:
    """JSON has one number type: 6.0 is the integer 6 where an integer is meant."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Int = Annotated[int, BeforeValidator(_integral)]


class Params(BaseModel):
    """Parameters of one part of a call.

    Null means absent, unknown keys are ignored and logged once, a number may be written `6` or
    `6.0`; anything else of the wrong type is refused with the class's `error`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, protected_namespaces=())

    where: ClassVar[str] = "parameters"
    error: ClassVar[type[ApiError]] = BadParameter
    additive: ClassVar[frozenset[str]] = frozenset()
    """List fields to which a later call adds, instead of replacing them."""

    @classmethod
    def merge(cls: type[P], *layers: Mapping[str, Any]) -> P:
        """One model out of what creation and call say, the later winning; validated once."""
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = _merged(merged, layer, cls.additive)
        _log_unknown(cls, merged)
        try:
            return cls.model_validate(merged)
        except ValidationError as exc:
            raise cls.error(_explain(cls.where, exc)) from exc


def _merged(
    base: Mapping[str, Any], over: Mapping[str, Any], additive: frozenset[str] = frozenset()
) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        if value is None:
            continue
        known = result.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(known, value)
        elif key in additive and isinstance(known, list) and isinstance(value, list):
            result[key] = known + [item for item in value if item not in known]
        elif isinstance(value, Mapping):
            result[key] = _merged({}, value)
        else:
            result[key] = value
    return result


def _explain(where: str, exc: ValidationError) -> str:
    """`parameters.input.separator: String should have at least 1 character, got ''`."""
    parts = []
    for error in exc.errors(include_url=False)[:5]:
        path = ".".join([where, *(str(step) for step in error["loc"])])
        shown = repr(error["input"])
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        parts.append(f"{path}: {error['msg']}, got {shown}")
    return "; ".join(parts)


def _log_unknown(cls: type[Params], given: Mapping[str, Any]) -> None:
    known = set(cls.model_fields)
    known.update(f.alias for f in cls.model_fields.values() if f.alias)
    for key in given:
        if key not in known:
            _log_once(cls.where, str(key)[:64])


@lru_cache(maxsize=1024)
def _log_once(where: str, key: str) -> None:
    logger.info("%s.%s is not a parameter here, ignored", where, key)
