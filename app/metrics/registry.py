"""What is counted in this process, and what is read from the database when somebody asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from app.database import Database

Source: TypeAlias = Callable[[AsyncSession], Awaitable[Iterable[Metric]]]

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
JOB_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Metrics:
    """The figures of one app::

        metrics = Metrics(sources=[job_figures])
        sent = Counter("tridesk_mails_sent", "Mails handed to the mail server.", registry=metrics.registry)

    ``registry`` holds what this process counts. A source is asked for what the database knows, the same in
    every process, whenever the figures are read: it returns metric families of ``prometheus_client.core``.
    """

    def __init__(self, *, sources: Sequence[Source] = ()) -> None:
        self.registry = CollectorRegistry()
        self._sources = tuple(sources)
        self._requests = Counter(
            "tridesk_http_requests",
            "Requests answered by this process.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "tridesk_http_request_duration_seconds",
            "From a request's arrival to the last byte of its answer.",
            ("method", "route"),
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._job_seconds = Histogram(
            "tridesk_job_duration_seconds",
            "Attempts of jobs made by this process; an attempt that failed is retried, or failed for good.",
            ("entrypoint", "outcome"),
            buckets=JOB_BUCKETS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self._kept: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. Labels are looked up once: that is most of what counting costs."""
        key = (method, route, status)
        kept = self._kept.get(key)
        if kept is None:
            counter = self._requests.labels(method, route, str(status))
            kept = self._kept[key] = (counter, self._request_seconds.labels(method, route))
        kept[0].inc()
        kept[1].observe(seconds)

    def observe_job(self, entrypoint: str, outcome: str, seconds: float) -> None:
        """Count one attempt of a job."""
        self._job_seconds.labels(entrypoint, str(outcome)).observe(seconds)

    async def render(self, session: AsyncSession, database: Database, accept: str) -> tuple[bytes, str]:
        """(text, its content type) in the form that ``accept`` asks for: 0.0.4 or OpenMetrics."""
        families = [family for source in self._sources for family in await source(session)]
        families.append(_pool(database))
        everything = CollectorRegistry(auto_describe=False)
        everything.register(self.registry)
        everything.register(_Read(families))
        encode, content_type = choose_encoder(accept)
        return encode(everything), content_type


class _Read(Collector):
    """Families as they were read, for one answer."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _pool(database: Database) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "tridesk_database_connections",
        "Connections of this process to the database, by state; limit is what there may be at most.",
        labels=["state"],
    )
    pool = database.engine.pool
    if isinstance(pool, QueuePool):
        family.add_metric(["in_use"], pool.checkedout())
        family.add_metric(["idle"], pool.checkedin())
        family.add_metric(["limit"], pool.size() + max(0, database.settings.database_pool_size))
    return family
