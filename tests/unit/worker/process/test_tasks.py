"""How long a task may take before its child is killed."""

from pathlib import Path

import pytest

from maskrelay.ledger.wakeups import Task
from maskrelay.settings import Settings
from maskrelay.stack.loopback import free_port
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


def test_a_task_without_redis_ends_quietly_and_only_when_the_worker_stops(tmp_path: Path) -> None:
    away = {"MASKRELAY_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "MASKRELAY_STORAGE_URL": tmp_path.as_uri()}
    answers, begun = iter([False, False, True]), []
    child = WorkerChild(Settings.from_environment({**SHORT_TASKS, **away}), "control", lambda: next(answers))
    child.run_stage("plan", lambda context, until: begun.append((context, until)))
    assert begun == []
    assert list(answers) == []
