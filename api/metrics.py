"""`GET /metrics`: the metrics of the ledger and of this process, in the Prometheus text format."""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from api import families
from api.scaling import worth
from api.service import Service, in_thread, service_of
from maskrelay.errors import LedgerUnavailable


async def metrics(request: Request) -> Response:
    """Return Prometheus metrics of the whole service, and of the requests to this process.

    They contain nothing about an individual job or patient.
    """
    body = await in_thread(_body, service_of(request), request.app.state.registry)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def _body(service: Service, own: CollectorRegistry) -> bytes:
    shared = CollectorRegistry()
    shared.register(_Shared(_look(service)))
    return generate_latest(shared) + generate_latest(own)


def _look(service: Service) -> list[Metric]:
    """While the ledger is unavailable, only that is reported: the API's own metrics matter all the more then."""
    try:
        return [families.ledger_up(is_up=True), *_of_ledger(service)]
    except LedgerUnavailable:
        return [families.ledger_up(is_up=False)]


def _of_ledger(service: Service) -> Iterable[Metric]:
    seen = service.ledger.sight.look()
    endpoints = service.ledger.flow(service.ledger.endpoints.known()).document()
    scaling = worth(service, endpoints)
    yield from families.work(seen.known, scaling.workers_wanted, scaling.cap)
    yield from families.redis(seen.known)
    yield from families.counters(seen.counts)
    yield families.stages(seen.stages)
    yield from families.endpoints(endpoints)


class _Shared(Collector):
    """A collector of metrics that were read already, as prometheus_client expects it."""

    def __init__(self, read: list[Metric]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        return self._read
