"""For each scenario the protection it proves, as the few lines that switch it off in a copy of the tree."""

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


@dataclass(frozen=True)
class Protection:
    """What is switched off, in words; `scenarios` are tests of this folder, with all rows of a table or some."""

    off: str
    changes: tuple[Change, ...]
    scenarios: tuple[str, ...]


def _rows(test: str, *rows: str) -> tuple[str, ...]:
    return tuple(f"{test}[{row}]" for row in rows)


NO_LAPSE = Change("worker/sweep.py", "lapsed, condemned = parts.ledger.claims.lapse()", "lapsed, condemned = 0, []")
NO_KICK = Change("worker/sweep.py", "    found.update(_kick(parts))\n", "")
NO_COMPARE = Change("worker/sweep.py", "found = _compare(parts, compare_every)\n", "found: Found = Counter()\n")
ANY_KEY = Change(
    "api/accept.py", "    if request.key is None:\n        return keys.new_id()\n", "    return keys.new_id()\n"
)
TOLD_FIRST = Change(
    "api/submit.py",
    "    async with incoming_of(service, tenant) as incoming:\n        with service.spans",
    "    from datetime import UTC, datetime\n"
    "    job = accept._id_of(service, asking)\n"
    '    await in_thread(service.ledger.jobs.create, job, tenant, "interactive", 1, datetime.now(UTC))\n'
    "    async with incoming_of(service, tenant) as incoming:\n        with service.spans",
)
BLAMED = Change(
    "worker/loop.py",
    "        except (EndpointError, StorageUnavailable, LedgerUnavailable) as error:\n",
    "        except EndpointError as error:\n"
    "            from maskrelay.contract.outcomes import Failure\n"
    "            from worker.record import failed\n"
    "            planned = self._bench.plans.frame(claim.job, frame)\n"
    "            failure = Failure(code=error.code, detail=error.detail)\n"
    "            await self._settle(claim, Recorded(failed(planned, failure, 1)))\n"
    "        except (StorageUnavailable, LedgerUnavailable) as error:\n",
)
NEVER_BLAMED = Change(
    "worker/frame.py",
    "trouble.code if attempts >= bench.max_attempts else None",
    "None",
)
NO_RENEWAL = Change("worker/renewal.py", "                self._renew()\n", "                pass\n")
OWN_CLOCK = (
    Change(
        "maskrelay/ledger/scripts/prelude.lua",
        "local time = redis.call('TIME')\n",
        "local sent = tonumber(ARGV[#ARGV])\nlocal time = {math.floor(sent), math.floor(sent % 1 * 1e6)}\n",
    ),
    Change(
        "maskrelay/ledger/scripts.py",
        "args=[_plain(argument) for argument in arguments])",
        'args=[*(_plain(argument) for argument in arguments), __import__("time").time()])',
    ),
)
STORED_OR_NOT = (
    Change(
        "worker/artifacts.py",
        "        except ObjectExists:\n            storage.put(",
        "        except StorageUnavailable:\n            pass\n        except ObjectExists:\n            storage.put(",
    ),
    Change("worker/artifacts.py", "import ObjectExists\n", "import ObjectExists, StorageUnavailable\n"),
)
NO_DRAIN = Change("worker/tasks.py", "            thread.run(loop.drain(", "            (lambda _: None)((")
DEAF = Change("worker/tasks.py", "        child.await_ledger()\n", "        pass\n")
NO_TIMEOUT = (
    Change("maskrelay/ledger/__init__.py", "        socket_timeout=5,\n", ""),
    Change("maskrelay/ledger/broker.py", '            "socket_timeout": 5,\n', ""),
)
FULL_UNSEEN = Change("maskrelay/ledger/broker.py", "        broker_channel_error_retry=True,", "        # ")
REPEATED = Change(
    "worker/announce.py",
    "    return has(storage, keys.delivered(job, event))\n",
    "    return False\n",
)
NOTHING_SUSPECT = Change(
    "maskrelay/ledger/scripts/lapse.lua",
    "        record.deaths = record.deaths + 1\n",
    "        record.deaths = 0\n",
)
NO_OVERRUN = Change(
    "worker/frame.py",
    "                async with asyncio.timeout(bench.decode_timeout.total_seconds()):\n",
    "                async with asyncio.timeout(None):\n",
)
HELD_FOR_EVER = Change("api/accept.py", "_HOLD = timedelta(seconds=15)", "_HOLD = timedelta(hours=1)")
NOT_CLOSED = Change(
    "worker/deliver.py",
    "    if leave_live(parts.storage, submission):\n        parts.ledger.jobs.told(submission.id)\n",
    "    del submission\n",
)
NO_SECOND_TRY = (
    Change("worker/groups.py", "TRIES = 6\n", "TRIES = 1\n"),
    Change(
        "worker/loop.py",
        "            await self._park(claim, frame, error)\n",
        '            log.warning("dropped %s", error.code)\n',
    ),
)
NOT_ASKED = Change(
    "api/accept.py",
    "        if service.archive.submission(submission.id) != submission:\n            raise",
    "        raise",
)
CLAIMED_BY_ALL = Change("maskrelay/ledger/scripts/claim.lua", "  set(job, 'cursor', first + n)\n", "")

FRAMES = "test_frame_steps.py::test_a_worker_is_killed"
AGAIN = "test_submission_steps.py::test_the_api_is_killed_and_the_caller_asks_again"
ONCE_STORED = "test_submission_steps.py::test_the_api_is_killed_once_the_job_is_stored_and_nobody_asks_again"
NOT_STORED = "test_submission_steps.py::test_the_api_is_killed_before_the_job_is_stored_and_nobody_asks_again"
WAY = "test_redis_away.py::test_the_way_to_redis"
FINISHING = "test_control_steps.py::test_control_is_killed_in_finishing"
DELIVERING = "test_control_steps.py::test_deliver_is_killed"
STORE = "test_storage_trouble.py::test_"
SILENT = (NO_KICK, NO_COMPARE)

PROTECTIONS = (
    Protection(
        "the sweep takes no lapsed lease back",
        (NO_LAPSE,),
        (
            *_rows(
                FRAMES,
                "after the claim",
                "while its plan is read",
                "while its source is read",
                "after prepare, before it is admitted",
                "when it is admitted",
                "after its score, before that is reported",
                "before its artifact is stored",
                "after its artifact is stored",
                "before its pack is stored",
                "after its pack is stored",
                "before its part is stored",
                "after its part is stored, before it settles",
                "when it settles",
            ),
            "test_frame_steps.py::test_a_worker_is_killed_while_the_model_works_for_it",
            "test_workers_die.py::test_every_worker_is_killed_in_the_middle_of_a_job",
            "test_workers_die.py::test_a_paused_worker_that_wakes_after_its_lease_lapsed_changes_nothing",
        ),
    ),
    Protection(
        "the sweep sends no wake-up",
        (NO_KICK,),
        (
            *_rows(FRAMES, "after it settled, before it knows"),
            *_rows(ONCE_STORED, "after the ledger was told", "before planning is woken"),
            "test_control_steps.py::test_control_is_killed_in_planning",
            "test_control_steps.py::test_assemble_is_killed",
            *_rows(
                FINISHING,
                "when finishing is taken",
                "while outcomes are read",
                "before the final objects are stored",
                "before the result is stored",
            ),
            *_rows("test_storage_trouble.py::test_no_answer_comes_to_any_put_of", "the plan"),
            "test_messages.py::test_every_message_sent_while_nobody_listens_is_dropped",
            "test_messages.py::test_every_message_comes_late",
        ),
    ),
    Protection(
        "storage and ledger are never compared",
        (NO_COMPARE,),
        (
            *_rows(ONCE_STORED, "after the job is stored", "before the ledger is told"),
            *_rows(DELIVERING, "before the live marker goes"),
            "test_redis_lost.py::test_everything_is_flushed_in_the_middle_of_ten_jobs_of_three_tenants",
            "test_redis_lost.py::test_redis_is_restored_from_a_copy_five_seconds_old",
            "test_redis_away.py::test_redis_loses_its_last_second",
        ),
    ),
    Protection(
        "the sweep sends no wake-up and compares nothing",
        SILENT,
        (
            *_rows(
                FINISHING,
                "after the result is stored",
                "before the last event is stored",
                "after the last event is stored",
                "before the ledger knows the end",
            ),
            *_rows(
                DELIVERING,
                "when a delivery is taken",
                "after the receiver's 204, before the marker",
                "after the marker is stored",
                "before the delivery is over",
            ),
            *_rows(
                "test_storage_trouble.py::test_no_answer_comes_to_any_put_of",
                "the result",
                "an event",
                "the marker of a delivery",
            ),
        ),
    ),
    Protection(
        "delivering leaves the live marker, and nothing is compared",
        (NOT_CLOSED, NO_COMPARE),
        _rows(FINISHING, "after the ledger knows the end"),
    ),
    Protection(
        "an idempotency key stays taken for an hour",
        (HELD_FOR_EVER,),
        _rows(
            AGAIN,
            "before an upload is marked as used",
            "before the live marker",
            "after the live marker",
            "before the job is stored",
        ),
    ),
    Protection(
        "a job's id does not follow from its idempotency key",
        (ANY_KEY,),
        _rows(
            AGAIN,
            "after the job is stored",
            "before the ledger is told",
            "after the ledger was told",
            "before planning is woken",
        ),
    ),
    Protection("the ledger is told before anything is stored", (TOLD_FIRST,), (NOT_STORED,)),
    Protection(
        "every endpoint error is held against its frame at once",
        (BLAMED,),
        (
            "test_endpoint_table.py::test_the_endpoint_answers_for_a_while",
            "test_endpoint_table.py::test_the_endpoint_fails_on_everything_for_longer_than_a_frame_may",
            "test_endpoint_table.py::test_the_container_restarts_with_scores_in_hand",
            "test_endpoint_table.py::test_the_way_to_the_endpoint_goes_dead_with_scores_in_hand",
            "test_endpoint_table.py::test_the_endpoint_cannot_be_reached_for_a_while",
        ),
    ),
    Protection(
        "a frame has any number of attempts",
        (NEVER_BLAMED,),
        ("test_endpoint_table.py::test_the_endpoint_answers_one_frame_always",),
    ),
    Protection(
        "a file that could not be stored counts as stored", STORED_OR_NOT, (STORE + "the_store_refuses_everything",)
    ),
    Protection("no lease is renewed", (NO_RENEWAL,), (STORE + "the_store_is_slow", f"{WAY}[the way is slow]")),
    Protection(
        "a part is tried once, and its frames are not given back",
        (*NO_SECOND_TRY, NO_LAPSE),
        (
            STORE + "what_the_store_did_is_not_answered",
            *_rows("test_storage_trouble.py::test_no_answer_comes_to_any_put_of", "an outcome part"),
        ),
    ),
    Protection(
        "an unanswered put is a failure, and the next try another job",
        (NOT_ASKED, ANY_KEY),
        _rows("test_storage_trouble.py::test_no_answer_comes_to_any_put_of", "the submission"),
    ),
    Protection(
        "a task ends though Redis is away",
        (DEAF,),
        (
            "test_redis_away.py::test_redis_is_killed_and_started_again",
            "test_redis_away.py::test_redis_is_frozen",
            *_rows(WAY, "every connection is cut"),
        ),
    ),
    Protection(
        "an answer of Redis is awaited for ever",
        NO_TIMEOUT,
        (
            *_rows(WAY, "every connection goes dead", "the way is narrow"),
            "test_redis_away.py::test_new_work_is_heard_of_after_every_connection_went_dead",
        ),
    ),
    Protection("each process goes by its own clock", OWN_CLOCK, ("test_clocks.py::test_a_clock_is_an_hour_off_in",)),
    Protection(
        "a stopping worker lets what it holds lapse",
        (NO_DRAIN,),
        ("test_workers_die.py::test_a_worker_is_told_to_stop_with_frames_in_hand",),
    ),
    Protection(
        "deaths are not counted",
        (NOTHING_SUSPECT,),
        ("test_workers_die.py::test_one_file_that_ends_its_decoder_fails_alone[KILLS ITS DECODER-decoder_crashed]",),
    ),
    Protection(
        "decoding has no limit",
        (NO_OVERRUN,),
        ("test_workers_die.py::test_one_file_that_ends_its_decoder_fails_alone[HANGS ITS DECODER-decode_timeout]",),
    ),
    Protection(
        "a claim does not move the cursor",
        (CLAIMED_BY_ALL,),
        ("test_messages.py::test_every_message_is_doubled",),
    ),
    Protection(
        "a refused write is no lost connection to Celery", (FULL_UNSEEN,), ("test_redis_away.py::test_redis_is_full",)
    ),
)
