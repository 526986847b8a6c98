"""The four queues of the ledger give out their work in one shape."""

import dataclasses
from types import NoneType
from typing import get_args, get_type_hints

import pytest

from maskrelay.ledger.assembly_leases import AssemblyLeases
from maskrelay.ledger.claims import Claims
from maskrelay.ledger.outbox import Outbox
from maskrelay.ledger.step_leases import StepLeases


@pytest.mark.parametrize("queue", [AssemblyLeases, Claims, Outbox, StepLeases])
def test_take_returns_a_frozen_record_with_the_job_and_the_token_of_the_lease_or_none(queue: type) -> None:
    record, *others, nothing = get_args(get_type_hints(queue.take)["return"])
    assert nothing is NoneType
    assert all(dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen for kind in (record, *others))
    assert {"job", "token"} <= {field.name for field in dataclasses.fields(record)}
