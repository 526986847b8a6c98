"""The slot of one score at an endpoint, from its admission until the flow control knows how the score ended."""

import asyncio
import random
from dataclasses import replace

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.flow_control import Admission, Flow, Transfer
from maskrelay.rules.endpoint_gate import Report
from worker.context.slot_inventory import Slots


class HeldSlot:
    """A slot that was granted to this child process. It belongs to one event loop.

    If other scores may wait for the slot, it is released as soon as the answer has been received, before it is known
    whether the answer is valid. The end of the score is reported later. If the child process dies between the release
    and the report, only the report is lost. If it dies before the release, the slot becomes free when its lease ends.
    """

    def __init__(self, flow: Flow, slots: Slots, name: str, admission: Admission) -> None:
        self.name = name
        self._flow = flow
        self._slots = slots
        self._endpoint = admission.endpoint
        self._may_be_wanted = admission.full and not admission.probe
        self._received_bytes: int | None = None
        self._releasing: asyncio.Future[str] | None = None

    def received(self, size: int) -> None:
        """Note that the whole answer of `size` bytes has been received. The call returns at once."""
        self._received_bytes = size
        if self._may_be_wanted:
            self._releasing = asyncio.get_running_loop().run_in_executor(None, self._release, size)

    def _release(self, size: int) -> str:
        record = self._flow.release(self._endpoint, self.name, size)
        self._slots.end(self.name)
        return record

    async def report(self, report: Report, frame: str, transfer: Transfer | None) -> None:
        """Report how the score of the input `frame` ended. Raises LedgerUnavailable.

        If the whole answer has been received, the slot is not kept, because the endpoint no longer works on the score.
        The bytes of the answer count towards the limit on bytes, even if the answer is not valid.
        """
        report = replace(report, keep_slot=report.keep_slot and self._received_bytes is None)
        try:
            ended = self._endpoint, self.name, report, frame, random.random(), transfer, await self._released()
            await asyncio.to_thread(self._flow.report, *ended, received=self._received_bytes or 0)
        finally:
            self._slots.end(self.name, keep=report.keep_slot)

    async def _released(self) -> str | None:
        """Return the result of the release, or None if the slot was not released. Then the report frees the slot."""
        try:
            return await self._releasing if self._releasing else None
        except LedgerUnavailable:
            return None
