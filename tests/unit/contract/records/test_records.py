"""Every record can be written without what is None, and read back."""

import importlib
import pkgutil
import types
import typing

import pytest

import maskrelay.contract
from maskrelay.contract.record import Record

for module in pkgutil.walk_packages(maskrelay.contract.__path__, "maskrelay.contract."):
    importlib.import_module(module.name)


def records(of: type[Record] = Record) -> list[type[Record]]:
    return [one for kind in of.__subclasses__() for one in (kind, *records(kind))]


#: Written whole, None and all.
WHOLE = {"Result", "ExplicitWindow"}


@pytest.mark.parametrize(
    "record", [kind for kind in records() if kind.__name__ not in WHOLE], ids=lambda one: one.__name__
)
def test_what_can_be_none_may_be_left_out(record: type[Record]) -> None:
    nullable = {
        name
        for name, field in record.model_fields.items()
        if isinstance(field.annotation, types.UnionType) and type(None) in typing.get_args(field.annotation)
    }
    assert not nullable & {name for name, field in record.model_fields.items() if field.is_required()}
