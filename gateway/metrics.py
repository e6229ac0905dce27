"""Counters of all workers, merged by the admin listener. No user, person or target is ever a label.

Import this module only after ``PROMETHEUS_MULTIPROC_DIR`` is set (``serve`` does): the library reads it once.
"""

from collections import defaultdict

from prometheus_client import Counter, Gauge

from gateway.core.extraction import Class
from gateway.core.reasons import Refusal

DECISIONS = Counter(
    "gateway_decisions", "Decisions on requests and pieces of streams", ["application", "verdict", "reason", "class"]
)
PERSONS = Counter("gateway_persons_released", "Persons in released answers", ["application", "class"])
OBSERVING = Gauge(
    "gateway_observing", "1 where nothing is asked, masked or refused", ["application"], multiprocess_mode="max"
)
WAITING = Gauge(
    "gateway_messages_waiting",
    "Messages that wait to be sent to a partner or to the operator's own address",
    ["kind", "partner"],
    multiprocess_mode="mostrecent",
)
READY = Gauge("gateway_worker_ready", "1 where store and ledger answer", multiprocess_mode="liveall")


class PrometheusMetrics:
    """What the path counts: kept here, and told to the library each second, for its shared files cost more."""

    def __init__(self) -> None:
        self._decisions: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
        self._persons: defaultdict[tuple[str, str], int] = defaultdict(int)

    def released(self, application: str, verdict: str, klass: Class, persons: int) -> None:
        """Count one released piece."""
        self._decisions[application, verdict, "", klass.word] += 1
        if persons:
            self._persons[application, klass.word] += persons

    def refused(self, application: str, refusal: Refusal) -> None:
        """Count one refusal or challenge."""
        klass = refusal.klass.word if refusal.klass is not None else ""
        self._decisions[application, "refusal", str(refusal.reason), klass] += 1

    def tell(self) -> None:
        """Hand what was counted to the library."""
        for labels, count in self._decisions.items():
            DECISIONS.labels(*labels).inc(count)
        for of, count in self._persons.items():
            PERSONS.labels(*of).inc(count)
        self._decisions.clear()
        self._persons.clear()
