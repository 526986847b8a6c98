"""The control page at `/_simulator`: counters to read, options to set, and a script that sets options over time."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.counters import Counters
from simulator.messages import Answer, Request, json_answer

CONTROL = "/_simulator"
NOTHING = object()
STEP_KEYS = {"at", "set", "note"}


@dataclass(frozen=True)
class Knob:
    """An option. `read` converts a JSON value, or raises ValueError or TypeError; `turn` applies the value."""

    read: Callable[[Any], Any]
    turn: Callable[[Any], None]
    initial: Any = NOTHING


@dataclass(frozen=True)
class Step:
    """The options that a script sets `at` seconds after its start."""

    at: float
    values: dict[str, Any]


class Control:
    """The control of the options. The value "initial" restores the value that an option had when the simulator started.

    Everything, including the steps of a script, is validated before anything is applied. An invalid
    request therefore changes nothing.
    """

    def __init__(self, counters: Counters, knobs: dict[str, Knob]) -> None:
        self._counters = counters
        self._knobs = knobs
        self._steps: list[Step] = []
        self._running: asyncio.Task[None] | None = None

    def answer(self, request: Request) -> Answer:
        """Return the counters for a GET. For a POST, set the options in the JSON object."""
        if request.method == "GET":
            return json_answer(200, {**self._counters.as_json(), "script_steps_left": len(self._steps)})
        try:
            self.turn(json.loads(request.body))
        except (TypeError, ValueError) as error:
            return json_answer(400, {"message": str(error)})
        return json_answer(200, {})

    def turn(self, wanted: Any) -> None:
        """Apply options. Raises ValueError or TypeError for an unknown option or an invalid value.

        A new script ends the previous one.
        """
        if not isinstance(wanted, dict):
            raise TypeError("expected a JSON object")
        knobs = {name: value for name, value in wanted.items() if name not in ("script", "speed")}
        values = self._values(knobs)
        speed = float(wanted.get("speed", 1))
        if speed <= 0:
            raise ValueError("speed must be above 0")
        steps = self._read_script(wanted.get("script") or [])
        self._turn(values)
        if "script" in wanted:
            self._start(steps, speed)

    def _values(self, wanted: dict[str, Any]) -> dict[str, Any]:
        unknown = wanted.keys() - self._knobs.keys()
        if unknown:
            raise ValueError(f"cannot set {', '.join(sorted(unknown))}")
        return {name: _value(self._knobs[name], value) for name, value in wanted.items()}

    def _turn(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self._knobs[name].turn(value)

    def _read_script(self, asked: Any) -> list[Step]:
        steps = [self._read_step(step) for step in asked]
        return sorted(steps, key=lambda step: step.at)

    def _read_step(self, asked: Any) -> Step:
        if not isinstance(asked, dict) or not asked.keys() <= STEP_KEYS or "at" not in asked:
            raise ValueError("a step of a script must be an object with at, set and note")
        return Step(float(asked["at"]), self._values(asked.get("set", {})))

    def _start(self, steps: list[Step], speed: float) -> None:
        if self._running is not None:
            self._running.cancel()
        self._steps = steps
        self._running = asyncio.get_running_loop().create_task(self._run(speed)) if steps else None

    async def _run(self, speed: float) -> None:
        started = time.monotonic()
        while self._steps:
            await asyncio.sleep(started + self._steps[0].at / speed - time.monotonic())
            self._turn(self._steps.pop(0).values)


def _value(knob: Knob, value: Any) -> Any:
    return knob.initial if value == "initial" and knob.initial is not NOTHING else knob.read(value)
