"""For each scenario the protection it proves: a copy of the tree without it must not survive."""

from dataclasses import dataclass

from tests.faults.protection_switches import (
    ANY_KEY,
    BLAMED,
    CLAIMED_BY_ALL,
    CREATED_ONCE,
    DEAF,
    FULL_UNSEEN,
    HELD_FOR_EVER,
    HELD_UNCOUNTED,
    KEPT_WAITING,
    NEVER_BLAMED,
    NO_COMPARE,
    NO_DRAIN,
    NO_KICK,
    NO_LAPSE,
    NO_LIMIT,
    NO_OVERRUN,
    NO_RENEWAL,
    NO_SECOND_TRY,
    NO_TIMEOUT,
    NO_WATCH,
    NOT_ASKED,
    NOT_CLOSED,
    NOTHING_SUSPECT,
    OWN_CLOCK,
    SILENT,
    STORED_OR_NOT,
    SWEPT_ONCE,
    TOLD_FIRST,
    UNCAPPED,
    Change,
)
from tests.faults.soak_faults import WORKERS


@dataclass(frozen=True)
class Protection:
    """What is switched off, in words; `scenarios` are tests of this folder, with all rows of a table or some."""

    off: str
    changes: tuple[Change, ...]
    scenarios: tuple[str, ...]


def _rows(test: str, *rows: str) -> tuple[str, ...]:
    return tuple(f"{test}[{row}]" for row in rows)


FRAMES = "test_frame_steps.py::test_a_worker_is_killed"
AGAIN = "test_submission_steps.py::test_the_api_is_killed_and_the_caller_asks_again"
ONCE_STORED = "test_submission_steps.py::test_the_api_is_killed_once_the_job_is_stored_and_nobody_asks_again"
PLANNED_AT_ONCE = "test_submission_steps.py::test_the_api_is_killed_while_it_stores_the_plan"
NOT_STORED = "test_submission_steps.py::test_the_api_is_killed_before_the_job_is_stored_and_nobody_asks_again"
WAY = "test_redis_away.py::test_the_way_to_redis"
FINISHING = "test_control_steps.py::test_control_is_killed_in_finishing"
DELIVERING = "test_control_steps.py::test_deliver_is_killed"
STORE = "test_storage_trouble.py::test_"

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
        "a sweep that ended is not started again",
        (SWEPT_ONCE,),
        ("test_each_dies_alone.py::test_the_sweep_dies_alone_and_then_a_worker_with_frames_in_hand",),
    ),
    Protection(
        "the sweep sends no wake-up",
        (NO_KICK,),
        (
            *_rows(FRAMES, "after it settled, before it knows"),
            *_rows(ONCE_STORED, "after the ledger was told"),
            *_rows(PLANNED_AT_ONCE, "after the ledger was told of job and plan"),
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
            *_rows(
                PLANNED_AT_ONCE,
                "before the plan is stored",
                "while the plan is stored",
                "after the plan is stored",
                "before the ledger is told of job and plan",
            ),
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
            "test_endpoint_table.py::test_the_way_to_the_endpoint_is_narrow",
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
    Protection(
        "no lease is renewed",
        (NO_RENEWAL,),
        (
            "test_slow_ways.py::test_the_store_is_slow",
            "test_slow_ways.py::test_the_way_to_redis_is_slow",
            "test_slow_ways.py::test_the_way_to_redis_is_narrow",
        ),
    ),
    Protection(
        "a part is tried once, and its frames are not given back",
        (*NO_SECOND_TRY, NO_LAPSE),
        _rows("test_storage_trouble.py::test_no_answer_comes_to_any_put_of", "an outcome part"),
    ),
    Protection(
        "every put is tried once, and its frames are not given back",
        (CREATED_ONCE, *NO_SECOND_TRY, NO_LAPSE),
        (STORE + "what_the_store_did_is_not_answered",),
    ),
    Protection(
        "an unanswered put is a failure, and the next try another job",
        (NOT_ASKED, ANY_KEY),
        _rows("test_storage_trouble.py::test_no_answer_comes_to_any_put_of", "the submission"),
    ),
    Protection(
        "a task ends though Redis is away",
        (DEAF, NO_WATCH),
        (
            "test_redis_away.py::test_redis_is_killed_and_started_again",
            *_rows(WAY, "every connection is cut"),
        ),
    ),
    Protection(
        "a task ends though Redis is away, and the sweep sends no wake-up",
        (DEAF, NO_WATCH, NO_KICK),
        ("test_redis_away.py::test_redis_is_frozen",),
    ),
    Protection(
        "a consumer that takes no messages is left alone",
        (NO_WATCH,),
        _rows("test_acks.py::test_redis_is_away_when_a_task_is_acknowledged", *WORKERS),
    ),
    Protection(
        "a child that hangs is left alone",
        (NO_LIMIT,),
        (
            "test_hung_children.py::test_a_child_hangs_while_it_scores",
            "test_hung_children.py::test_a_child_hangs_while_it_assembles",
        ),
    ),
    Protection(
        "an answer of Redis is awaited for ever",
        NO_TIMEOUT,
        (
            *_rows(WAY, "every connection goes dead"),
            "test_redis_away.py::test_new_work_is_heard_of_after_every_connection_went_dead",
        ),
    ),
    Protection("each process goes by its own clock", OWN_CLOCK, ("test_clocks.py::test_a_clock_is_an_hour_off_in",)),
    Protection(
        "a stopping worker lets what it holds lapse",
        (NO_DRAIN,),
        (
            "test_workers_die.py::test_a_worker_is_told_to_stop_with_frames_in_hand",
            "test_rollouts.py::test_api_and_segment_are_replaced_by_the_next_release_under_load",
            "test_rollouts.py::test_segment_workers_are_scaled_from_one_to_four_and_back_under_load",
        ),
    ),
    Protection(
        "an API that is told to end keeps its callers waiting for their jobs",
        (KEPT_WAITING,),
        ("test_rollouts.py::test_every_process_is_replaced_by_the_next_release_under_load",),
    ),
    Protection(
        "workers are wanted for the waiting frames alone, not for those in hand",
        (HELD_UNCOUNTED,),
        ("test_autoscaling.py::test_an_autoscaler_that_follows_the_number_keeps_a_worker_while_frames_are_in_hand",),
    ),
    Protection(
        "as many workers are wanted as there is work for, whatever the endpoint can feed",
        (UNCAPPED,),
        ("test_autoscaling.py::test_an_autoscaler_that_follows_the_number_goes_from_none_to_four_and_back_to_none",),
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
