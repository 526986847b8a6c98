"""The few lines by which one protection is switched off in a copy of the tree."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Change:
    """`old`, which the file holds exactly once, becomes `new`."""

    file: str
    old: str
    new: str

    def found(self, root: Path) -> int:
        """How often the file holds what is to be replaced."""
        return (root / self.file).read_text().count(self.old)

    def make(self, root: Path) -> None:
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


NO_LAPSE = Change(
    "worker/sweep/sweep_pass.py", "lapsed, poisoned = context.ledger.claims.lapse()", "lapsed, poisoned = 0, []"
)
NO_KICK = Change("worker/sweep/sweep_pass.py", "    found.update(_kick(context))\n", "")
NO_COMPARE = Change(
    "worker/sweep/sweep_pass.py",
    "    token = context.ledger.sweep_state.begin_reconciling(period)\n",
    "    token = None\n",
)
ANY_KEY = Change(
    "api/submissions/idempotency.py",
    "    if key is None:\n        return keys.new_id()\n",
    "    return keys.new_id()\n",
)
TOLD_FIRST = Change(
    "api/submissions/submit.py",
    "    async with incoming_of(dependencies, tenant) as incoming:\n        with dependencies.spans",
    "    from datetime import UTC, datetime\n"
    "    job = idempotency.job_id(dependencies, asking.tenant, asking.key)\n"
    '    await in_thread(dependencies.ledger.jobs.create, job, tenant, "interactive", 1, datetime.now(UTC))\n'
    "    async with incoming_of(dependencies, tenant) as incoming:\n        with dependencies.spans",
)
BLAMED = Change(
    "worker/segment/loop.py",
    "        except (EndpointError, StorageUnavailable, LedgerUnavailable) as error:\n",
    "        except EndpointError as error:\n"
    "            from maskrelay.contract.record import Failure\n"
    "            from worker.context.job_records.outcome_parts import failed\n"
    "            planned = self._context.plans.frame(claim.job, frame)\n"
    "            failure = Failure(code=error.code, detail=error.detail)\n"
    "            await self._settle(claim, RecordedPart(failed(planned, failure, 1)))\n"
    "        except (StorageUnavailable, LedgerUnavailable) as error:\n",
)
NEVER_BLAMED = Change(
    "worker/segment/frame.py",
    "trouble.code if attempts >= context.max_attempts else None",
    "None",
)
NO_RENEWAL = Change("worker/context/lease_renewal.py", "                self._renew()\n", "                pass\n")
OWN_CLOCK = (
    Change(
        "maskrelay/ledger/scripts/prelude-1-keys.lua",
        "local time = redis.call('TIME')\n",
        "local sent = tonumber(ARGV[#ARGV])\nlocal time = {math.floor(sent), math.floor(sent % 1 * 1e6)}\n",
    ),
    Change(
        "maskrelay/ledger/scripts.py",
        "plain = [_plain(argument) for argument in arguments]",
        'plain = [*(_plain(argument) for argument in arguments), __import__("time").time()]',
    ),
)
STORED_OR_NOT = (
    Change(
        "worker/context/job_records/outcome_parts.py",
        '            storage.put(key, body, _TYPES.get(key.rpartition(".")[2], BINARY))\n',
        "            with contextlib.suppress(StorageUnavailable):\n"
        '                storage.put(key, body, _TYPES.get(key.rpartition(".")[2], BINARY))\n',
    ),
    Change(
        "worker/context/job_records/outcome_parts.py",
        "import ItemError, ObjectExists\n",
        "import ItemError, ObjectExists, StorageUnavailable\n",
    ),
)
SWEPT_ONCE = Change(
    "worker/process/sweep_supervisor.py",
    "        self._next = time.monotonic() + pause\n",
    "        self._next = time.monotonic() + 3600\n",
)
NO_DRAIN = Change(
    "worker/process/segment_child.py",
    "            self._thread.run(self._segment.drain(",
    "            (lambda *_: None)((",
)
KEPT_WAITING = Change("api/dependencies/end_listener.py", "        self.closed = True\n", "        return\n")
HELD_UNCOUNTED = Change(
    "maskrelay/rules/lanes.py", "math.ceil((waiting + held) / per_worker)", "math.ceil(waiting / per_worker)"
)
UNCAPPED = Change("maskrelay/rules/lanes.py", "per_worker), most)", "per_worker), 4)")
DEAF = Change("worker/process/child.py", "            self._await_ledger()\n", "            pass\n")
NO_WATCH = Change(
    "worker/process/celery_app.py", "consumer_watch.PERIOD, watch.check)", "consumer_watch.PERIOD, lambda: None)"
)
NO_LIMIT = Change("worker/process/child.py", '"segment": 20, "assemble": 120,', '"segment": 10**6, "assemble": 10**6,')
NO_TIMEOUT = (
    Change("maskrelay/ledger/__init__.py", "        socket_timeout=5,\n", ""),
    Change("maskrelay/ledger/broker.py", '            "socket_timeout": 5,\n', ""),
)
FULL_UNSEEN = Change("maskrelay/ledger/broker.py", "        broker_channel_error_retry=True,", "        # ")
NOTHING_SUSPECT = Change(
    "maskrelay/ledger/scripts/claims/lapse.lua",
    "    record.deaths = record.deaths + 1\n",
    "    record.deaths = 0\n",
)
NO_OVERRUN = Change(
    "worker/segment/frame_decoding.py",
    "            async with asyncio.timeout(context.decode_timeout.total_seconds()):\n",
    "            async with asyncio.timeout(None):\n",
)
HELD_FOR_EVER = Change("api/submissions/idempotency.py", "HOLD = timedelta(seconds=15)", "HOLD = timedelta(hours=1)")
NOT_CLOSED = Change(
    "worker/deliver/event_delivery.py",
    "    if leave_live(context, submission):\n        context.ledger.jobs.close_events(submission.id)\n",
    "    del submission\n",
)
NO_SECOND_TRY = (
    Change("worker/segment/outcome_batches.py", "TRIES = 6\n", "TRIES = 1\n"),
    Change(
        "worker/segment/loop.py",
        "            await self._release.release_to_wait(claim, frame, error)\n",
        '            log.warning("dropped %s", error.code)\n',
    ),
)
CREATED_ONCE = Change(
    "maskrelay/storage/bucket_store.py", "_CREATE_PAUSES = (0.1, 0.4)", "_CREATE_PAUSES: tuple[float, ...] = ()"
)
NOT_ASKED = Change(
    "api/submissions/accept.py",
    "        if dependencies.archive.submission(submission.id) != submission:\n            raise",
    "        raise",
)
CLAIMED_BY_ALL = Change("maskrelay/ledger/scripts/claims/claim.lua", "  set(job, 'cursor', first + n)\n", "")

SILENT = (NO_KICK, NO_COMPARE)
