"""How long a task may take before its child is killed."""

import pytest

from maskrelay.ledger.wakeups import Task
from maskrelay.settings import Settings
from worker.process.child import WorkerChild

SHORT_TASKS = {
    "MASKRELAY_REDIS_URL": "redis://127.0.0.1:6379/0",
    "MASKRELAY_STORAGE_URL": "file:///store",
    "MASKRELAY_SERVER_KEY": "0" * 64,
    "MASKRELAY_TASK_BUDGET_S": "1",
}


@pytest.mark.parametrize("task", ["segment", "assemble", "plan", "finish"])
def test_a_child_that_drains_is_not_taken_for_one_that_hangs(task: Task) -> None:
    settings = Settings.from_environment(SHORT_TASKS)
    limit = WorkerChild(settings, "segment", lambda: False).time_limit(task)
    assert limit > (settings.task_budget + settings.soft_shutdown).total_seconds()
