"""The Celery tasks. They are wake-ups without arguments, and each only calls a plain function."""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from celery import Celery

from maskrelay.contract import keys
from maskrelay.contract.jobs import Lane
from maskrelay.errors import LedgerUnavailable, ObjectExists, StorageUnavailable
from maskrelay.ledger.wakes import Task
from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import read_proxy
from maskrelay.notify.callback import CallbackSender
from maskrelay.notify.guard import AddressGuard
from maskrelay.scoring.client import EndpointClient
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.wires import IMAGE2D
from maskrelay.settings import Settings, name_of
from worker.admission import Admissions
from worker.assemble import assemble_items
from worker.byte_budget import ByteBudget
from worker.decoders import Decoders
from worker.deliver import deliver_due
from worker.finish import finish_jobs
from worker.frame import Bench
from worker.groups import Bounds, Groups
from worker.loop import SegmentLoop
from worker.loop_executor import LoopExecutor
from worker.loop_thread import LoopThread
from worker.memory import keep_buffers
from worker.packs import Packs
from worker.parts import Parts, build
from worker.plan import plan_jobs
from worker.pool import Pool
from worker.score import Scorer
from worker.sender import Sender
from worker.sent import Sent
from worker.submissions import Plans

#: Threads of a child that decode, draw and encode. A small machine has two cores.
PIXEL_THREADS = 2
#: Bytes of decoded images that are kept while they are scored.
KEPT_PICTURES = 256 << 20
AWAY = (LedgerUnavailable, StorageUnavailable)
#: A task that runs for this many times its budget hangs: its worker kills the child and forks another. A segment task
#: ends with its budget; the others end with a step, which takes minutes for a large item.
HANGS_AFTER: dict[Task, int] = {"segment": 20, "assemble": 120, "plan": 120, "finish": 120}
#: Seconds between two checks whether Redis is available again.
ASK_AGAIN = 0.5


class Child:
    """The objects that one worker process builds after the fork, at its first wake-up."""

    def __init__(self, settings: Settings, role: str, stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._role = role
        self._stopping = stopping
        self._lock = threading.Lock()
        self._parts: Parts | None = None
        self._callbacks: CallbackSender | None = None
        self._thread: LoopThread | None = None
        self._segment: SegmentLoop | None = None
        self._sender: Sender | None = None

    def parts(self) -> Parts:
        with self._lock:
            if self._parts is None:
                self._parts = build(self._settings, self._role)
            return self._parts

    def sender(self) -> CallbackSender:
        """Return the callback sender, which the threads of this process share."""
        with self._lock:
            self._callbacks = self._callbacks or self._new_sender()
            return self._callbacks

    def _new_sender(self) -> CallbackSender:
        settings = self._settings
        shown = settings.callback_cert_file, settings.callback_cert_key_file
        tls = client_context(*shown, what=name_of("callback_cert_file"))
        given = settings.callback_proxy
        proxy = read_proxy(given.get_secret_value(), name_of("callback_proxy")) if given else None
        return CallbackSender(AddressGuard(settings.callback_allow), settings.callback_timeout, tls, proxy=proxy)

    def await_ledger(self) -> None:
        """Wait until Redis responds, or the worker is to stop."""
        while not self._stopping():
            with contextlib.suppress(LedgerUnavailable):
                self.parts().ledger.scripts.ask("PING")
                return
            time.sleep(ASK_AGAIN)

    def close(self) -> None:
        """End the process: finish or release the frames in progress, report metrics, close the audit log."""
        self._drain()
        if self._segment is not None:
            self._segment.close()
        with self._lock:
            if self._sender is not None:
                self._sender.close()
            if self._parts is not None:
                self._parts.noticed.tell()
                self._parts.audit.close()
                self._parts.spans.end()

    def time_limit(self, task: Task) -> float:
        """Return the seconds after which a child that is still working on the task is killed.

        The time that a worker has at its end is added: a task of segment uses it to drain.
        """
        settings = self._settings
        return (HANGS_AFTER[task] * settings.task_budget + settings.soft_shutdown).total_seconds()

    def until(self) -> float:
        return time.monotonic() + self._settings.task_budget.total_seconds()

    def segment(self) -> None:
        """Give the loop the task's time budget. When the worker stops, finish or release the frames in progress."""
        if self._thread is None:
            keep_buffers()
            self._thread = LoopThread()
        if self._segment is None:  # if this fails, the thread is kept and the next wake-up tries again
            self._segment, self._sender = self._thread.run(_segment_loop(self.parts(), self._stopping))
        self._thread.run(self._segment.lend(self.until()))
        if self._stopping():
            self._drain()

    def _drain(self) -> None:
        """Finish or release the frames in progress. No score begins that might outlast the time for this."""
        if self._thread is not None and self._segment is not None:
            settings = self._settings
            ends = time.monotonic() + (settings.soft_shutdown - settings.task_budget).total_seconds()
            last_score = ends - settings.score_timeout.total_seconds()
            self._thread.run(self._segment.drain(ends, last_score))


async def _segment_loop(parts: Parts, stopping: Callable[[], bool]) -> tuple[SegmentLoop, Sender]:
    """Build the loop inside the running event loop, to which its clients and events belong.

    Nothing is opened until Redis responds.
    """
    settings = parts.settings
    flow = parts.flow()
    admissions = Admissions(flow)
    names = [endpoint.name for endpoint in parts.endpoints]
    sender = Sender(parts.storage, parts.ledger.senders, flow, names, admissions.slots)
    await asyncio.to_thread(sender.mark)
    await asyncio.to_thread(_open_flows, parts)
    in_flight = await asyncio.to_thread(parts.in_flight)
    sender.start()
    pool = _pool(parts)
    scorer = Scorer(pool, flow, admissions, Sent(parts.audit), parts.noticed, parts.spans)
    bench = Bench(
        storage=parts.storage,
        sources=parts.sources(),
        claims=parts.ledger.claims,
        flow=flow,
        plans=Plans(parts.storage),
        pool=pool,
        admissions=admissions,
        scorer=scorer,
        packs=Packs(pool, scorer),
        threads=LoopExecutor(PIXEL_THREADS, "pixels"),
        decoders=Decoders(PIXEL_THREADS),
        files=ByteBudget(settings.hand_bytes),
        decoding=ByteBudget(settings.decode_bytes),
        pictures=ByteBudget(KEPT_PICTURES),
        decode_timeout=settings.decode_timeout,
        max_pixels=settings.max_pixels,
        max_decode_bytes=settings.max_decode_bytes,
        max_attempts=settings.max_attempts,
        noticed=parts.noticed,
        spans=parts.spans,
    )
    bounds: dict[Lane, Bounds] = {
        "interactive": Bounds(settings.part_frames, settings.part_wait.total_seconds()),
        "bulk": Bounds(settings.bulk_part_frames, settings.bulk_part_wait.total_seconds()),
    }
    rows = max(one.rows_per_request for one in parts.endpoints)
    loop = SegmentLoop(
        bench,
        Groups(parts.storage, parts.ledger, parts.noticed, parts.spans, bounds),
        parts.ledger,
        hands=max(settings.frames_per_child, 2 * rows),
        in_flight=in_flight * rows,
        pace=bench.pace if settings.hands is None else None,
        renewal_period=settings.renewal_period,
        stopping=stopping,
    )
    return loop, sender


def _pool(parts: Parts) -> Pool:
    clients = {
        endpoint.name: EndpointClient(
            endpoint,
            credential_of(endpoint),
            IMAGE2D,
            timeout=parts.settings.score_timeout,
            max_connections=endpoint.max_in_flight + 1,
        )
        for endpoint in parts.endpoints
    }
    return Pool(parts.endpoints, clients)


def _open_flows(parts: Parts) -> None:
    """Announce the endpoints, and start the flow control of new ones.

    Without flow state nothing may be sent for a slot lease, unless storage shows that nothing ever was sent.
    """
    parts.ledger.endpoints.announce(parts.endpoints)
    flow = parts.flow()
    for endpoint in parts.endpoints:
        if flow.is_new(endpoint.name):
            with contextlib.suppress(ObjectExists):
                key = keys.endpoint_used(endpoint.name)
                parts.storage.create(key, b"a score may have been sent\n", "text/plain")
                flow.fresh(endpoint.name)


@contextlib.contextmanager
def _awake(parts: Parts, task: Task) -> Iterator[None]:
    """Count as a loop of this task, and wake the next loop if one loop is not enough.

    It is not if more waits than the one job, item or delivery that this loop takes first. Afterwards, check once more:
    the loop's time may have ended before the work.
    """
    wakes, loop = parts.ledger.wakes, secrets.token_hex(8)
    wakes.running(task, loop, parts.settings.task_budget * 2)
    try:
        wakes.wake(task, wakes.work(task) - 1)
        yield
    finally:
        wakes.ended(task, loop)
        wakes.wake(task, wakes.work(task))


@contextlib.contextmanager
def _outliving(child: Child) -> Iterator[None]:
    """End the task only while Redis responds. The sweep makes up for what the outage interrupted.

    A task that ended without Redis could not be acknowledged. A consumer whose only child was busy is not reading, and
    would not notice that its connection is lost: it would never receive a wake-up again.
    """
    try:
        with contextlib.suppress(LedgerUnavailable):
            yield
    finally:
        child.await_ledger()


def register(app: Celery, child: Child) -> None:
    """Register the tasks. Without storage a task just ends, and the sweep makes up for it."""

    @app.task(name="plan", throws=AWAY, time_limit=child.time_limit("plan"))
    def plan() -> None:
        with _outliving(child), _awake(child.parts(), "plan"):
            plan_jobs(child.parts(), child.until())

    @app.task(name="segment", throws=AWAY, time_limit=child.time_limit("segment"))
    def segment() -> None:
        with _outliving(child):
            child.segment()

    @app.task(name="assemble", throws=AWAY, time_limit=child.time_limit("assemble"))
    def assemble() -> None:
        with _outliving(child), _awake(child.parts(), "assemble"):
            assemble_items(child.parts(), child.until())

    @app.task(name="finish", throws=AWAY, time_limit=child.time_limit("finish"))
    def finish() -> None:
        with _outliving(child), _awake(child.parts(), "finish"):
            finish_jobs(child.parts(), child.until())

    @app.task(name="deliver", throws=AWAY)
    def deliver() -> None:
        with _outliving(child), _awake(child.parts(), "deliver"):
            deliver_due(child.parts(), child.sender(), child.until())
