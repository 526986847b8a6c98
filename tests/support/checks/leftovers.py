"""What may remain when every job has ended: objects that nothing names, and what the ledger still holds."""

import subprocess
import sys
from collections.abc import Iterator

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import Result
from tests.support.drivers.stack_behind_proxies import Scene, Sent

#: Folders of a job in which every object is used as long as the job is kept.
_KEPT = ("frames", "plan", "survey", "events", "delivered", "assembled", "outcomes")


def leaks(scene: Scene) -> Iterator[str]:
    """Yield leases, slots, steps, deliveries and hosts that are held although nothing is in progress."""
    client = scene.ledger
    for key in ("mr:leases", "mr:step:plan", "mr:step:finish", "mr:assembling", "mr:outbox"):
        yield from (f"{key} {member}" for member in client.zrange(key, 0, -1))
    for key in ("mr:claims", "mr:outbox:tokens", "mr:assembling:tokens"):
        yield from (f"{key} {member}" for member in client.hkeys(key))
    seconds, micros = client.time()
    now = seconds * 1000 + micros // 1000
    for pattern in ("mr:flow:*:slots", "mr:callbacks:*"):
        for key in client.scan_iter(pattern):
            yield from (f"{key} {member}" for member in client.zrangebyscore(key, now, "+inf"))
    accepted = scene.accepted() | scene.before
    for key in client.scan_iter("mr:tenant:*"):
        yield from (f"never accepted {job}" for job in client.zrange(key, 0, -1) if job.decode() not in accepted)
    for lane in ("interactive", "bulk"):
        yield from (f"ready {lane} {job}" for job in client.zrange(f"mr:ready:{lane}", 0, -1))
    yield from (key for job in scene.sent for key in scene.storage.list(keys.live(job.id)))


#: The sweep removes the files of a superseded attempt when nobody can write any more. Here, the clock is set
#: to that time.
_SWEEP = """
import os
from datetime import UTC, datetime, timedelta
from maskrelay.settings import Settings
from worker.context import build
from worker.sweep.recover import recover
settings = Settings.from_environment(os.environ)
recover(build(settings, "recover"), datetime.now(UTC) + settings.visibility_timeout + timedelta(minutes=1))
"""


def orphans(scene: Scene) -> list[str]:
    """Return the objects of the jobs that nothing names, after a sweep."""
    found = [key for job in scene.sent for key in orphans_of(scene, job)]
    if found:
        subprocess.run([sys.executable, "-c", _SWEEP], env=scene.stack.environment, check=True, capture_output=True)
        found = [key for job in scene.sent for key in orphans_of(scene, job)]
    return found


def orphans_of(scene: Scene, job: Sent) -> Iterator[str]:
    """Yield the objects of a job that neither its record nor a visible outcome names.

    Failed frames keep broken answers.
    """
    result = Result.model_validate_json(scene.storage.get(keys.result(job.id)))
    objects = (result.items, result.index, result.flagged, result.dead, result.parts)
    named, failed = {one.key for one in objects if one is not None}, set()
    for line in scene.storage.get(result.items.key).splitlines():
        item = ItemLine.model_validate_json(line)
        named |= {ref.key for ref in item.files.values()}
        for outcome in item.outcomes:
            named |= {ref.key for ref in outcome.artifacts().values()}
            named |= {outcome.thumbnail.key} if outcome.thumbnail else set()
            named |= {score.answer.key for score in outcome.scores}
            failed |= {outcome.frame} if outcome.state == "failed" else set()
    root = keys.objects(job.id)
    for key in scene.storage.list(root):
        folder, found, _ = key.removeprefix(root).partition("/")
        if found and folder not in _KEPT and key not in named and keys.answered_frame(key) not in failed:
            yield key
