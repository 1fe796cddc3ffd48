"""Frozen records with typed fields, without the 10 ms that importing `dataclasses` costs.

The agent starts afresh for every verb, so each import is paid on every call. A subclass
lists its fields as annotations; a class attribute of the same name is the default. Type
checkers see an ordinary frozen, keyword-only dataclass (PEP 681).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, dataclass_transform
else:

    def dataclass_transform(**_options):
        return lambda cls: cls


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """A frozen value. Raises TypeError for a missing or an unknown field."""

    if TYPE_CHECKING:
        __match_args__ = ()
    else:
        fields = ()

        def __init_subclass__(cls):
            # Here, not inherited, on every Python: each module that defines a record imports
            # annotations from __future__, which keeps PEP 649 out.
            annotated = cls.__dict__.get("__annotations__", {})  # noqa: RUF063
            own = [n for n in annotated if n not in cls.fields]
            cls.fields = cls.fields + tuple(own)

        def __init__(self, **values):
            for name in self.fields:
                if name not in values:
                    if not hasattr(type(self), name):
                        raise TypeError(f"{type(self).__name__} needs {name}")
                    values[name] = getattr(type(self), name)
            if len(values) != len(self.fields):
                unknown = sorted(set(values) - set(self.fields))
                raise TypeError(f"{type(self).__name__} has no {', '.join(unknown)}")
            self.__dict__.update((name, values[name]) for name in self.fields)

        def __setattr__(self, name, value):
            raise AttributeError(f"{type(self).__name__} is frozen")

    def to_dict(self) -> dict[str, Any]:
        """The fields as a new dict, in the order of their declaration."""
        return {name: self.__dict__[name] for name in self.__dict__}

    def replace(self, **changes: Any) -> Any:
        """A copy with `changes`."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self).__name__, *sorted(map(repr, self.__dict__.items()))))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"
