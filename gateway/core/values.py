"""Values of the path: to the type checker frozen, at run time made without the price of that.

A frozen dataclass sets each of its fields by ``object.__setattr__``, which takes four times as long; a metered record
makes some twenty such values. That nobody changes one is checked once, by mypy, and not at each request.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """As ``dataclass(frozen=True, slots=True)``: compared and hashed by its fields, never changed."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
