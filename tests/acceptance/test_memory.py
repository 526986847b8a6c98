"""The memory of a segment worker."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.builders.large_pictures import peak_of_worst

SIDE = 4000
#: What one 16-bit picture of that size takes, as reckoned, and not two.
DECODING = 480 << 20
#: Of the parent and the child, with nothing in them.
BASE = 420 << 20


@pytest.mark.slow_subject("decoding-memory")
def test_a_worker_decodes_within_its_budget_however_much_comes_at_once(tmp_path: Path) -> None:
    limit = timedelta(seconds=280)
    assert peak_of_worst(tmp_path, SIDE, limit=limit, decode_bytes=DECODING) < BASE + DECODING
