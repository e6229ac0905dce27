"""Counters of all workers, merged by the admin listener. No user, person or target is ever a label.

Import this module only after ``PROMETHEUS_MULTIPROC_DIR`` is set (``serve`` does): the library reads it once.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from gateway.core.charging import Usage
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
SECONDS = Histogram(
    "gateway_door_seconds",
    "How long a door took: the application to its header, a call of the store, a group of the ledger to the disk",
    ["door"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
PROOF_AGE = Histogram(
    "gateway_proof_age_seconds",
    "How old the proof was on which something was released",
    ["kind"],
    buckets=(60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400),
)
ALARMS = Counter("gateway_budget_alarms", "Limits that were passed and alarm, by the name of the budget", ["budget"])
USED = Gauge(
    "gateway_budget_used",
    "Persons that everybody together has taken in a budget's window",
    ["budget"],
    multiprocess_mode="mostrecent",
)
LIMIT = Gauge(
    "gateway_budget_limit", "The limit of a budget of everybody together", ["budget"], multiprocess_mode="mostrecent"
)
READY = Gauge(
    "gateway_worker_ready", "1 where a worker can answer, even if with a refusal", multiprocess_mode="liveall"
)
STORE_ANSWERS = Gauge("gateway_store_answers", "1 where a worker finds the store whole", multiprocess_mode="liveall")

PARTNER_ANSWERS = Gauge(
    "gateway_partner_answers",
    "1 where the last call of a partner's provider was answered as it should be, in every worker that made one",
    ["partner"],
    multiprocess_mode="livemin",
)


class PrometheusMetrics:
    """What the path counts: kept here, and told to the library each second, for its shared files cost more.

    ``partner_faults``: by a partner's id, what was wrong with the last call of its provider; empty: nothing.
    """

    def __init__(self) -> None:
        self.partner_faults: dict[str, str] = {}
        self._decisions: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
        self._persons: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._alarms: defaultdict[str, int] = defaultdict(int)
        self._seconds: defaultdict[str, Observed] = defaultdict(lambda: Observed(SECONDS))
        self._proof_ages: defaultdict[str, Observed] = defaultdict(lambda: Observed(PROOF_AGE))

    def took(self, door: str, seconds: float) -> None:
        """Note how long the ``application``, the ``store`` or the ``ledger`` took."""
        self._seconds[door].note(seconds)

    def proved(self, kind: str, age_s: float) -> None:
        """Note how old the proof was on which something was released."""
        self._proof_ages[kind].note(age_s)

    def alarmed(self, budget: str) -> None:
        """Count one alarm of a budget."""
        self._alarms[budget] += 1

    def used(self, usages: Iterable[Usage]) -> None:
        """How much everybody together has taken, of the limits that count everybody."""
        for usage in usages:
            USED.labels(usage.limit.name).set(usage.used)
            LIMIT.labels(usage.limit.name).set(usage.limit.limit)

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
        for budget, count in self._alarms.items():
            ALARMS.labels(budget).inc(count)
        for partner, fault in self.partner_faults.items():
            PARTNER_ANSWERS.labels(partner).set(0 if fault else 1)
        for kept in (self._seconds, self._proof_ages):
            for label, observed in kept.items():
                observed.tell(label)
        self._decisions.clear()
        self._persons.clear()
        self._alarms.clear()


class Observed:
    """What is to be added to one label's histogram: how many in each bucket, and their sum."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._bounds: list[float] = [float(bound) for bound in histogram._upper_bounds]
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def note(self, value: float) -> None:
        """Note one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def tell(self, label: str) -> None:
        """Hand them to the library, which has no call for many values at once, and begin anew."""
        child = self._histogram.labels(label)
        for bucket, count in zip(child._buckets, self._counts, strict=True):
            if count:
                bucket.inc(count)
        child._sum.inc(self._sum)
        self._counts, self._sum = [0] * len(self._bounds), 0.0
