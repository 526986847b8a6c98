"""Jobs with a superseded attempt: a worker that was taken for dead has written its files all the same."""

from collections.abc import Iterator

import httpx

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.ledger.claims import Claim
from tests.support.drivers.api_jobs import succeeded
from tests.support.drivers.driven_jobs import (
    claims_of,
    finished,
    planned,
    scored,
)
from tests.support.servers.apis import RunningApi
from worker.context.job_records.outcome_parts import RecordedPart, part_name, store_loose, write_part

TRY, LOST = "1" * 8, "2" * 8


def written(api: RunningApi, number: int, claim: Claim, *outcomes: Outcome, worker: str = TRY) -> set[int]:
    """Write these outcomes as a worker's part, and settle them under a claim, which may be lost."""
    part = part_name(1_000_000 + number, worker, number)
    held = [(claim.token, RecordedPart(one)) for one in outcomes]
    return write_part(api.storage, api.ledger.claims, claim.job, part, held)


def other_try(api: RunningApi, job: str, frame: int) -> Outcome:
    """Return an outcome of a worker that has lost its claim, with files of its own attempt."""
    outcome = succeeded(api, job, frame)
    body = outcome.model_dump_json().replace("0123abcd", LOST)
    mine = Outcome.model_validate_json(body)
    refs = [mine.masks[0].mask, mine.overlay]
    store_loose(api.storage, {ref.key: b"late" for ref in refs if ref is not None})
    return mine


def lost_claim(api: RunningApi, job: str) -> tuple[Claim, Claim]:
    """Return the claim of a worker that was taken for dead, and the claim of the worker that now has its frame."""
    first = next(iter(claims_of(api)))
    assert api.ledger.claims.release(first.token, first.first)
    again = next(claim for claim in claims_of(api) if claim.first == first.first)
    return first, again


def links(client: httpx.Client, job: str) -> Iterator[str]:
    for item in client.get(f"/v1/jobs/{job}/items").json()["items"]:
        yield from (link for mask in item["masks"] for link in mask["links"].values())
        yield from (link for output, link in item["links"].items() if output == "overlay")


def with_losers(api: RunningApi, job: str) -> list[str]:
    """Bring the job to its end with a superseded attempt, files of another finisher and items of another submission.

    Return the objects that are no longer needed.
    """
    planned(api)
    before = set(api.objects())
    lost, held = lost_claim(api, job)
    loser = other_try(api, job, lost.first)
    assert written(api, 1, held, succeeded(api, job, held.first)) == {held.first}
    assert written(api, 2, lost, loser, worker=LOST) == set()
    scored(api, lambda _: None)
    assert finished(api, job).rescored == 1
    for key in (keys.final(job, "f" * 16, "items.ndjson"), keys.items(job, "f" * 16)):
        api.storage.put(key, b"")
    mine = [key for key in api.objects() if LOST in key or "f" * 16 in key]
    assert len(mine) == 5
    assert not before & set(mine)
    return mine
