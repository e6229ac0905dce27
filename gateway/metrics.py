"""Counters of all workers, merged by the admin listener. No user, person or target is ever a label.

Import this module only after ``PROMETHEUS_MULTIPROC_DIR`` is set (``serve`` does): the library reads it once.
"""

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
READY = Gauge("gateway_worker_ready", "1 where store and ledger answer", multiprocess_mode="liveall")


class PrometheusMetrics:
    """What the path counts."""

    def __init__(self) -> None:
        self._released: dict[tuple[str, str, Class], tuple[Counter, Counter]] = {}

    def released(self, application: str, verdict: str, klass: Class, persons: int) -> None:
        """Count one released piece."""
        of = (application, verdict, klass)
        counters = self._released.get(of)
        if counters is None:
            decisions = DECISIONS.labels(application, verdict, "", klass.word)
            counters = self._released[of] = (decisions, PERSONS.labels(application, klass.word))
        counters[0].inc()
        if persons:
            counters[1].inc(persons)

    def refused(self, application: str, refusal: Refusal) -> None:
        """Count one refusal or challenge."""
        klass = refusal.klass.word if refusal.klass is not None else ""
        DECISIONS.labels(application, "refusal", str(refusal.reason), klass).inc()
