"""The largest pictures that are taken, all at once, in a worker with the memory that it is given."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.builders.large_pictures import peak_of_worst

#: What the compose file and the chart give a segment worker.
LIMIT = 4 << 30


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_worst_pictures_together_stay_below_the_limit_of_a_worker_and_end_no_child(tmp_path: Path) -> None:
    assert peak_of_worst(tmp_path, 9990, limit=timedelta(seconds=850)) < LIMIT
