"""The time a job spent in each stage: from its result if there is one, otherwise from the ledger's record."""

from datetime import UTC, datetime

from api.known import Known
from maskrelay.rules.timings import TOTAL, timings


def timings_of(known: Known) -> dict[str, float]:
    """Return the seconds by stage and in `total`; empty if neither storage nor the ledger has any."""
    result, record = known.result, known.record
    if result is None:
        return timings(record.moments, record.spent, datetime.now(UTC)) if record is not None else {}
    told = record.moments.told if record is not None and known.submission.callback else None
    if told is None or not result.timings:
        return result.timings
    callback = max(0, round((told - result.finished_at).total_seconds(), 3))
    return {**result.timings, "callback": callback, TOTAL: round(result.timings[TOTAL] + callback, 3)}
