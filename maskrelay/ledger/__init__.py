"""The ledger in Redis, and the flow control of the endpoints.

There is one Lua script for each transition. The script makes all changes of its transition atomically: those to jobs,
claims, leases, quotas, wake-ups and events. Read this module first, then `scripts` and `job_transitions`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from redis.backoff import NoBackoff
from redis.retry import Retry

from maskrelay.endpoints import Endpoint
from maskrelay.ledger.announced_endpoints import Endpoints
from maskrelay.ledger.assembly_leases import AssemblyLeases
from maskrelay.ledger.claims import Claims
from maskrelay.ledger.deployment_offers import DeploymentOffer, DeploymentOffers, PictureForms
from maskrelay.ledger.flow_control import Flow
from maskrelay.ledger.job_transitions import Jobs
from maskrelay.ledger.metrics_snapshot import Metrics
from maskrelay.ledger.notifications import Notifications
from maskrelay.ledger.outbox import Outbox
from maskrelay.ledger.quotas import Quotas
from maskrelay.ledger.redis_connection import connect
from maskrelay.ledger.score_index import LONGEST_LIFE, ScoreIndex
from maskrelay.ledger.scripts import Scripts, texts
from maskrelay.ledger.senders import Senders
from maskrelay.ledger.step_leases import StepLeases
from maskrelay.ledger.survey_leases import SurveyLeases
from maskrelay.ledger.sweep_state import SweepState
from maskrelay.ledger.table_rests import TableRests
from maskrelay.ledger.wakeups import WakeUps
from maskrelay.ledger.watch_state import Watches

#: The slot lease for callers that only read the state. With the default settings, no slot lease is longer, because
#: every lease must be shorter than the broker's visibility timeout, which is then 10 minutes.
LONGEST_SLOT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The parts of the ledger, which share one connection pool."""

    jobs: Jobs
    quotas: Quotas
    claims: Claims
    step_leases: StepLeases
    survey_leases: SurveyLeases
    assembly_leases: AssemblyLeases
    outbox: Outbox
    wake_ups: WakeUps
    sweep_state: SweepState
    endpoints: Endpoints
    offers: DeploymentOffers[DeploymentOffer]
    picture_forms: DeploymentOffers[PictureForms]
    score_index: ScoreIndex
    slot_reports: Senders
    watches: Watches
    table_rests: TableRests
    notifications: Notifications
    metrics: Metrics
    scripts: Scripts

    def flow(self, endpoints: Sequence[Endpoint], *, slot_lease: timedelta = LONGEST_SLOT) -> Flow:
        """Return the flow control of these endpoints.

        A caller that only reads the state need not pass the slot lease.
        """
        return Flow(self.scripts, endpoints, slot_lease=slot_lease)


def open_ledger(
    redis_url: str,
    publish: Callable[[str], None],
    *,
    claim_lease: timedelta,
    step_lease: timedelta,
    delivery_lease: timedelta,
    score_lifetime: timedelta = LONGEST_LIFE,
) -> Ledger:
    """Return the ledger at `redis_url`.

    It connects on first use. A call that gets no response within five seconds, or within the timeout in the URL, raises
    LedgerUnavailable. `score_lifetime` is the time for which the answers of scores are kept.
    """
    client = connect(
        redis_url,
        socket_timeout=5,
        socket_connect_timeout=3,
        socket_keepalive=True,
        health_check_interval=10,
        retry=Retry(NoBackoff(), 0),  # the callers retry; redis-py's own three retries would block the API
    )
    scripts = Scripts(client, texts())
    return Ledger(
        jobs=Jobs(scripts),
        quotas=Quotas(scripts),
        claims=Claims(scripts, claim_lease),
        step_leases=StepLeases(scripts, step_lease),
        survey_leases=SurveyLeases(scripts, step_lease),
        assembly_leases=AssemblyLeases(scripts, step_lease),
        outbox=Outbox(scripts, delivery_lease),
        wake_ups=WakeUps(scripts, publish),
        sweep_state=SweepState(scripts),
        endpoints=Endpoints(scripts),
        offers=DeploymentOffers(scripts, "offers", DeploymentOffer),
        picture_forms=DeploymentOffers(scripts, "picture_forms", PictureForms),
        score_index=ScoreIndex(scripts, score_lifetime),
        slot_reports=Senders(scripts),
        watches=Watches(scripts),
        table_rests=TableRests(scripts),
        notifications=Notifications(redis_url),
        metrics=Metrics(scripts),
        scripts=scripts,
    )
