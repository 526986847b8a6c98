"""The plan that is stored together with a job whose caller waits, so that its frame can be segmented at once."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.errors import StorageError
from maskrelay.rules.plain_image import plan_of_plain_image
from maskrelay.storage.protocol import Storage, Writer
from maskrelay.storage.stored_records import records_body


class ImmediatePlan:
    """The two objects of a plan. They are written, but not visible yet."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = writers

    def show(self) -> bool:
        """Make the plan visible. Return False if the store fails. A worker then plans the job, as any other job."""
        try:
            for writer in self._writers:
                writer.commit()
        except StorageError:
            return False
        return True


@contextmanager
def immediate_plan(storage: Storage, submission: Submission) -> Iterator[ImmediatePlan | None]:
    """Yield the written plan of a job of one plain image, or None if a worker must plan the job.

    The names of the objects follow from the id of the job, and requests with one idempotency key have the same id. So
    only the request that has created `job.json` may make its plan visible. The contents are written before, so that
    they are flushed together with what is written until then. Raises StorageUnavailable.
    """
    plan = plan_of_plain_image(submission)
    if plan is None:
        yield None
        return
    item, frame = plan
    bodies = {keys.item_part(submission.id, 0): item, keys.frame_part(submission.id, 0): frame}
    writers: list[Writer] = []
    with ExitStack() as opened:
        with storage.flushed_later():
            for key, record in bodies.items():
                writer = opened.enter_context(storage.writer(key, "application/x-ndjson"))
                writer.write(records_body([record]))
                writers.append(writer)
        yield ImmediatePlan(writers)
