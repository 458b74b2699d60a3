"""Hypothesis strategies out of JSON schemas, as far as our OpenAPI document uses them.

(hypothesis-jsonschema does not work with current hypothesis.)
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

WRONG = st.none() | st.booleans() | st.text(max_size=3) | st.just([]) | st.just({}) | st.just(-1.5)


def values(schema: dict[str, Any], schemas: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows."""
    if "$ref" in schema:
        return st.deferred(lambda: values(schemas[schema["$ref"].rpartition("/")[2]], schemas))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([values(choice, schemas) for choice in schema["anyOf"]])
    match schema.get("type"):
        case "object":
            return _objects(schema, schemas)
        case "array":
            return st.lists(values(schema.get("items", {}), schemas), max_size=3)
        case "string":
            low, high = schema.get("minLength", 0), schema.get("maxLength", 12)
            return st.text(min_size=low, max_size=high)
        case "integer":
            return st.integers(schema.get("minimum", -3), schema.get("maximum", 12))
        case "number":
            return _numbers(schema)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return st.none()


def _objects(schema: dict[str, Any], schemas: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Objects with some of the properties, now and then with one of the wrong kind."""
    properties = schema.get("properties", {})
    if not properties:
        inner = schema.get("additionalProperties")
        content = values(inner, schemas) if isinstance(inner, dict) else st.none()
        return st.dictionaries(st.text(max_size=4), content, max_size=2)
    required = set(schema.get("required", []))
    kinds = {name: values(inner, schemas) for name, inner in properties.items()}
    return st.fixed_dictionaries(
        {name: kinds[name] for name in required},
        optional={
            name: st.one_of(kind, kind, kind, WRONG)
            for name, kind in kinds.items()
            if name not in required
        },
    )


def _numbers(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -100.0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 100.0))
    return st.floats(
        low,
        max(low, high),
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
    )
