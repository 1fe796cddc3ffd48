"""Whether what came from a wire or a file has the types that a record's fields are annotated with."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.core.record import Record

_PLAIN: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "int": (int,), "float": (int, float)}


def misfit(record: Record) -> str:
    """Which field does not fit, as the end of a sentence; "" where all do. Fields that hold other
    records are checked by whoever reads them."""
    for cls in type(record).__mro__:
        for name, shape in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063 - as in record.py
            value = getattr(record, name, None)
            if not fits(shape, value):
                return f"{name} must be {shape}"
    return ""


def fits(shape: str, value: Any) -> bool:
    """`shape` is an annotation as it is written, such as "Optional[float]" or "tuple[str, ...]"."""
    plain = _PLAIN.get(shape)
    if plain is not None:
        return isinstance(value, plain) and (shape == "bool" or not isinstance(value, bool))
    if shape.startswith("Optional["):
        return value is None or fits(shape[9:-1], value)
    if shape.startswith("dict[str, "):
        return isinstance(value, dict) and all(fits(shape[10:-1], one) for one in value.values())
    if not shape.startswith("tuple["):
        return True
    if not isinstance(value, tuple):
        return False
    inside = shape[6:-1]
    if inside.endswith(", ..."):
        return all(fits(inside[:-5], one) for one in value)
    shapes = inside.split(", ")
    return len(shapes) == len(value) and all(map(fits, shapes, value))
