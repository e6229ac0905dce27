"""How often somebody may ask."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.tries import MOST_KNOWN, Tries


def test_so_many_at_once_and_one_more_after_its_time() -> None:
    tries = Tries(burst=3, per_s=0.5)
    assert [tries.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 2]
    assert (tries.take("a", 101.0), tries.take("a", 102.0), tries.take("a", 102.0)) == (1, 0, 2)


def test_one_takes_nothing_from_another() -> None:
    tries = Tries(burst=1)
    assert (tries.take("a", 1.0), tries.take("a", 1.0), tries.take("b", 1.0)) == (0, 1, 0)


def test_a_clock_set_back_gives_nothing() -> None:
    tries = Tries(burst=1, per_s=1.0)
    assert (tries.take("a", 100.0), tries.take("a", 50.0), tries.take("a", 51.0)) == (0, 1, 0)


def test_no_more_are_remembered_than_have_room() -> None:
    tries = Tries(burst=1)
    for number in range(MOST_KNOWN + 1):
        tries.take(str(number), 1.0)
    assert len(tries._taken) == MOST_KNOWN and tries.take("0", 1.0) == 0


@given(steps=st.lists(st.floats(0, 3), max_size=60), burst=st.integers(1, 5), per_s=st.sampled_from([0.5, 1.0, 2.0]))
def test_never_more_than_the_burst_and_its_rate(steps: list[float], burst: int, per_s: float) -> None:
    tries, now, granted = Tries(burst, per_s), 0.0, 0
    for step in steps:
        now += step
        granted += tries.take("a", now) == 0
        assert granted <= burst + now * per_s + 1e-6
