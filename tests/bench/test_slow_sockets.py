"""A small crowd of slow clients before a whole gateway, and what is told of it."""

import pytest

from tests.bench.slow_sockets import Answered, Report, percentile, run, slices

CROWD = {"silent": 20, "half header": 20, "half body": 50, "stalled reader": 5, "websocket": 50}


@pytest.fixture(scope="module")
def report() -> Report:
    """More of them for a few seconds than there are connections to the application."""
    return run(CROWD, 6, connections=30)


def test_ordinary_requests_find_a_connection_beside_slow_clients(report: Report) -> None:
    told = {one.status for one in report.answers}
    assert 200 in told
    assert 504 not in told


@pytest.mark.parametrize("kind", CROWD)
def test_slow_clients_of_each_kind_come_in(report: Report, kind: str) -> None:
    assert (report.told[kind].opened, report.told[kind].failed) == (CROWD[kind], 0)


def test_a_percentile_is_one_of_the_times() -> None:
    assert [percentile([4, 1, 3, 2], share) for share in (0.25, 0.5, 0.99)] == [1, 2, 4]


def test_tells_of_each_slice_what_was_not_answered() -> None:
    answers = [Answered(1, 0.01, 200), Answered(9.9, 0.03, 200), Answered(10, 5, 504), Answered(11, 1, 0)]
    assert list(slices(answers))[2:] == [
        "| 0 | 2 | 0 | 10 | 30 | 30 |",
        "| 10 | 2 | 1 × 0, 1 × 504 | 1000 | 5000 | 5000 |",
    ]
