import pytest

from api.http.middleware.problems import problem
from maskrelay import errors

SCOPE = {"type": "http", "raw_path": b"/v1/jobs", "state": {"trace_id": "0" * 32}}
#: What a caller can be answered; the rest of the tree never leaves the service as such.
STATUSES = {
    "malformed": 400,
    "body_incomplete": 400,
    "unauthenticated": 401,
    "scope_missing": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "still_accepting": 409,
    "not_cancellable": 409,
    "not_ended": 409,
    "nothing_to_redrive": 409,
    "gone": 410,
    "body_too_large": 413,
    "encoding_unsupported": 415,
    "endpoints_unknown": 503,
    "range_not_satisfiable": 416,
    "quota_reached": 429,
    "jobs_quota_reached": 429,
    "frames_quota_reached": 429,
    "interactive_quota_reached": 429,
    "bytes_quota_reached": 429,
    "storage_unavailable": 503,
    "source_unavailable": 503,
    "ledger_unavailable": 503,
    "ledger_full": 503,
    "issuer_unavailable": 503,
}


@pytest.mark.parametrize("kind", [kind for _, kind in errors.tree()], ids=lambda kind: kind.code)
def test_every_class_of_the_tree_has_its_status(kind: type[errors.MaskrelayError]) -> None:
    expected = 422 if issubclass(kind, errors.Refused) else STATUSES.get(kind.code, 500)
    assert problem(kind(), SCOPE).status_code == expected


def test_a_failure_of_ours_says_nothing_but_its_class() -> None:
    answer = problem(errors.StorageUnavailable("disk 7 in rack 3 (EIO)", reason="EIO"), SCOPE)
    assert b"rack" not in answer.body
    assert b"The object store cannot be reached." in answer.body


def test_an_error_from_elsewhere_says_nothing_at_all() -> None:
    answer = problem(KeyError("Doe^Jane"), SCOPE)
    assert answer.status_code == 500
    assert b"Doe" not in answer.body
    assert b"KeyError" not in answer.body
