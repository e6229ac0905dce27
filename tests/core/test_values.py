"""``frozen``: what it makes is a value like any frozen dataclass."""

from dataclasses import field, replace

import pytest

from gateway.core.values import frozen


@frozen
class Pair:
    left: int
    right: tuple[str, ...] = field(default=())


def test_values_of_the_same_fields_are_the_same_key() -> None:
    assert Pair(1, ("a",)) == Pair(1, ("a",)) != Pair(2)
    assert {Pair(1): "found"}[Pair(1)] == "found"


def test_a_copy_is_made_with_other_fields() -> None:
    assert replace(Pair(1), left=2) == Pair(2)


def test_no_field_can_be_invented() -> None:
    with pytest.raises(AttributeError):
        Pair(1).middle = 3  # type: ignore[attr-defined]
