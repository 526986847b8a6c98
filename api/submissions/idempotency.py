"""The ids of jobs, and the lookup of the job that an earlier request under the same idempotency key has made.

The id of such a job is derived from the key, so a repeat finds the job even if Redis has lost its data.
"""

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from api.dependencies import Dependencies
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.errors import Gone, IdempotencyKeyReused, LedgerUnavailable, StillAccepting

#: The time for which an id and the capacity for a job are reserved. During this time, a repeat of the request gets
#: StillAccepting. If a request takes longer, a repeat may run at the same time. This does no harm, because `job.json`
#: is created only once.
HOLD = timedelta(seconds=15)


def job_id(dependencies: Dependencies, tenant: str, key: str | None) -> str:
    """Return the id of the job for a request with this idempotency key: a derived id, or a random id without a key."""
    if key is None:
        return keys.new_id()
    return derived_id(dependencies, f"{tenant}\0{key}".encode())


def derived_id(dependencies: Dependencies, meaning: bytes) -> str:
    """Return the id that is derived from `meaning` with the current server key.

    If a job exists under the id that is derived with the previous key, return that id instead.
    """
    newest, *before = (keys.derived_id(server_key, meaning) for server_key in dependencies.server_keys)
    return next((job for job in before if earlier(dependencies, job) is not None), newest)


def earlier(dependencies: Dependencies, job: str) -> Submission | None:
    """Return the submission that was accepted with this id, if any. Raises Gone."""
    if dependencies.archive.has(keys.gone(job)):
        raise Gone
    return dependencies.archive.submission(job)


def standing(dependencies: Dependencies, job: str) -> Submission:
    """Return the submission that was accepted with this id. Raises Gone."""
    found = earlier(dependencies, job)
    assert found is not None
    return found


def same(found: Submission, fingerprint: str) -> Submission:
    """Return the submission if the request has its fingerprint. Raises IdempotencyKeyReused."""
    if not hmac.compare_digest(found.fingerprint, fingerprint):
        raise IdempotencyKeyReused
    return found


@contextmanager
def reserved(dependencies: Dependencies, job: str) -> Iterator[None]:
    """Reserve a derived id for this request. Raises StillAccepting while another request has reserved it.

    The reservation ends after an error, and when the job is recorded in the ledger.
    """
    nonce = secrets.token_hex(8)
    if not dependencies.ledger.jobs.begin_accepting(job, nonce, HOLD):
        raise StillAccepting
    try:
        yield
    except BaseException:
        with suppress(LedgerUnavailable):
            dependencies.ledger.jobs.end_accepting(job, nonce)
        raise
