"""What the benchmark reads from wrk and prints, without running it."""

import json

import pytest

from tests.bench.metered import Figures, Load, parse, table
from tests.bench.rig import BODY_BYTES, plain_body, record_template

SAID = """Running 2s test @ http://127.0.0.1:8080/
  1 threads and 32 connections
  48211 requests in 2.01s, 52.41MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 7
Requests/sec:  23985.57
"""


def test_reads_requests_time_and_every_kind_of_failure() -> None:
    assert parse(SAID) == Load(48_211, 2.01, 10)


def test_refuses_what_is_no_report() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:8080")


def test_prints_medians_and_their_ratio_to_each_peer() -> None:
    measured = {
        "nginx": [Figures(20.0, 0.0, 100.0), Figures(10.0, 0.0, 100.0), Figures(90.0, 0.0, 100.0)],
        "gateway": [Figures(100.0, 5.0, 50.0)],
    }
    assert table(measured, ["nginx"])[2:] == [
        "| nginx | 20.0 | 1.00 | 0.0 | 100 |",
        "| gateway | 100.0 | 5.00 | 5.0 | 50 |",
    ]


def test_bodies_are_json_of_the_size_told() -> None:
    record = record_template().replace("$id", "1000001").replace("$http_bench_nir", "191025100001066")
    assert len(record) == len(plain_body()) == BODY_BYTES
    assert json.loads(record)["nir"] == "191025100001066"
