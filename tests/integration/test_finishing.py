"""Finishing over a real ledger and storage: what it survives, what it leaves behind, and when it gives up."""

import httpx

from maskrelay.contract import keys
from tests.api_jobs import accepted
from tests.apis import RunningApi
from tests.clearing import parts_of
from tests.driven import finished, frames_of, outcome, planned, scored
from worker.reconcile import reconcile_job


def test_a_refused_line_of_a_frame_that_the_job_does_not_have_does_not_stop_the_finish(
    api: RunningApi, north: httpx.Client
):
    job = accepted(north, b"a", b"b")
    planned(api)
    scored(api)
    known = outcome(frames_of(api, job)[0], None)
    foreign = [known.model_copy(update={"frame": frame}) for frame in (-1, 2, 999, 10**9)]
    body = b"".join(one.model_dump_json().encode() + b"\n" for one in [known, *foreign])
    stray = f"{1_000_000:016d}-0123abcd-000001"
    api.storage.create(keys.outcome_part(job, stray), body + b"not JSON\n")
    result = finished(api, job)
    assert (result.state, result.counts.succeeded, result.frames.planned) == ("succeeded", 2, 2)


def test_adopting_a_part_counts_no_frame_that_the_job_does_not_have(api: RunningApi, north: httpx.Client):
    job = accepted(north, b"a", b"b")
    planned(api)
    known = outcome(frames_of(api, job)[0], None)
    foreign = [known.model_copy(update={"frame": frame}) for frame in (-1, 2, 999, 10**9)]
    body = b"".join(one.model_dump_json().encode() + b"\n" for one in [known, *foreign])
    api.storage.create(keys.outcome_part(job, f"{1_000_000:016d}-0123abcd-000001"), body)
    reconcile_job(parts_of(api), job)
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert (record.frames.succeeded, record.frames.planned) == (1, 2)
    scored(api)
    assert finished(api, job).frames.succeeded == 2
