"""The store's primary dies under load, and nobody gets one person more for it: the short form of ``failovers.py``."""

from failovers import LIMIT, place


def test_a_failover_lets_nobody_past_their_limit_and_nothing_out_without_its_record() -> None:
    with place() as at:
        one = at.fail_over()
    assert (one.over_limit, one.without_record, one.not_counted) == (0, 0, 0)
    assert one.unavailable > 0
    assert one.went_on_s < float("inf")
    assert 0 < one.most_received <= LIMIT
