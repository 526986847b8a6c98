"""The options that the control page can set, by their names in JSON."""

from collections.abc import Callable
from typing import Any

from simulator.container import Container
from simulator.control import Knob
from simulator.counters import Counters
from simulator.faults import parse_faults
from simulator.gateway import Gateway
from simulator.pipe import Pipe


def knobs_of(
    app: object, container: Container, gateway: Gateway | None, pipe: Pipe, counters: Counters
) -> dict[str, Knob]:
    """Return all options of one simulator by name. `app` has the attribute `gzip_answers`."""
    slots = container.slots
    return {
        "service_time": _attribute(container, "service_time_s", _not_negative),
        "slowdown": _attribute(container, "slowdown", _positive),
        "max_concurrent": Knob(_count, lambda to: slots.resize(max_concurrent=to), slots.max_concurrent),
        "instances": Knob(_count, lambda to: slots.resize(instances=to), slots.instances),
        "bandwidth": _attribute(pipe, "bytes_per_s", lambda value: None if value is None else _positive(value)),
        "lean": _attribute(container, "lean", _flag),
        "gzip": _attribute(app, "gzip_answers", _flag),
        "reset": Knob(_yes, lambda _: counters.reset()),
        **(_of_gateway(gateway) if gateway else {}),
    }


def _of_gateway(gateway: Gateway) -> dict[str, Knob]:
    credentials = gateway.credentials
    knobs = {
        "fail": Knob(parse_faults, lambda faults: setattr(gateway, "faults", faults)),
        "traffic": _attribute(gateway, "traffic", _flag),
        "deployment": _attribute(gateway, "deployment", _text),
        "request_timeout": _attribute(gateway, "request_timeout_s", _positive),
        "requests_per_s": _attribute(gateway, "requests_per_s", _positive),
        "restart": Knob(_yes, lambda _: gateway.restart()),
        "expire_tokens": Knob(_yes, lambda _: credentials.expire()),
    }
    if credentials.mode == "aml_token":
        return {**knobs, "token_life": _attribute(credentials, "token_life_s", _positive)}
    name = "key" if credentials.mode == "key" else "entra_token"
    return {**knobs, name: _attribute(credentials, "fixed", _text)}


def _attribute(owner: object, name: str, read: Callable[[Any], Any]) -> Knob:
    return Knob(read, lambda value: setattr(owner, name, value), getattr(owner, name))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("expected a number")
    return float(value)


def _positive(value: Any) -> float:
    if _number(value) <= 0:
        raise ValueError("expected a number above 0")
    return float(value)


def _not_negative(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError("expected a number of at least 0")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("expected a whole number of at least 1")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("expected true or false")
    return value


def _yes(value: Any) -> None:
    if value is not True:
        raise ValueError("expected true")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected a text")
    return value
