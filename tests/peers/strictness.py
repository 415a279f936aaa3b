"""Checks events against the openai package's types more strictly than the package itself does.

The types let every unknown key pass, and a union takes any of its members that happens to fit. Here the member is
chosen by the event's `type`, values are validated without conversion, and unknown keys are problems.
"""

from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

# What the service really sends, as recordings show, and the types do not know.
UNDOCUMENTED = {".obfuscation", ".session.object", ".session.id", ".session.expires_at"}


@cache
def members(union: Any) -> dict[str, Any]:
    """The members of an annotated union, by the value of their `type`."""
    (alternatives, *_rest) = get_args(union)
    found = {}
    for member in get_args(alternatives):
        for name in get_args(member.model_fields["type"].annotation):
            found[name] = member
    return found


@cache
def adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def problems(union: Any, event: Any) -> list[str]:
    """All that is wrong with an event, as sentences."""
    kind = event.get("type") if isinstance(event, dict) else None
    model = members(union).get(kind)
    if model is None:
        return [f"unknown event: {event}"]
    try:
        parsed = adapter(model).validate_python(event, strict=True)
    except ValidationError as error:
        return [f"{kind} does not validate: {error}"]
    return [f"{kind} has an unknown key: {path}" for path in unknown_keys(parsed, "") if path not in UNDOCUMENTED]


def unknown_keys(value: Any, path: str) -> list[str]:
    if isinstance(value, BaseModel):
        found = [f"{path}.{key}" for key in value.model_extra or {}]
        for name in type(value).model_fields:
            found += unknown_keys(getattr(value, name, None), f"{path}.{name}")
        return found
    if isinstance(value, (list, tuple)):
        return [key for n, item in enumerate(value) for key in unknown_keys(item, f"{path}[{n}]")]
    return []


