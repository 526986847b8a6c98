"""The statistics that Redis keeps of its work, in total and by script."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from maskrelay.ledger.scripts import texts


@dataclass(frozen=True, slots=True)
class Reading:
    """The CPU seconds of the main thread and of all threads, total counts and bytes, and the
    seconds of Redis's clock.
    """

    clock: float
    frames: float
    main_s: float
    all_s: float
    scripts: float
    scripts_s: float
    blpop: float
    commands: float
    bytes_in: float
    bytes_out: float

    def since(self, before: "Reading") -> "Reading":
        return Reading(*(getattr(self, one.name) - getattr(before, one.name) for one in fields(self)))


def read(client: Any) -> Reading:
    """Return the current values.

    `frames` are settled frames, and `commands` are all commands, including those in scripts.
    """
    with client.pipeline(transaction=False) as asked:
        asked.time().hget("mr:counts", "settled succeeded")
        asked.info("cpu").info("commandstats").info("stats")
        (seconds, micros), settled, cpu, by_command, stats = asked.execute()
    scripts = by_command.get("cmdstat_evalsha", {"calls": 0, "usec": 0})
    return Reading(
        clock=seconds + micros / 1e6,
        frames=int(settled or 0),
        main_s=cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"],
        all_s=cpu["used_cpu_user"] + cpu["used_cpu_sys"],
        scripts=scripts["calls"],
        scripts_s=scripts["usec"] / 1e6,
        blpop=by_command.get("cmdstat_blpop", {"calls": 0})["calls"],
        commands=sum(one["calls"] for one in by_command.values()),
        bytes_in=stats["total_net_input_bytes"],
        bytes_out=stats["total_net_output_bytes"],
    )


@dataclass(frozen=True, slots=True)
class Share:
    """A script's share of all calls of scripts, and of all the time in them."""

    calls: float
    time: float


def by_script(client: Any, sample: int) -> Mapping[str, Share]:
    """Return the shares of each script in the last `sample` entries of the slow log, which records everything.

    Recording makes scripts slower, in proportion to the number of commands that they call, so only shares
    are taken from it.
    """
    names = {client.register_script(text).sha.encode(): name for name, text in texts().items()}
    calls: Counter[str] = Counter()
    micros: defaultdict[str, float] = defaultdict(float)
    for entry in client.slowlog_get(sample):
        words = entry["command"].split()
        if words[0].upper() == b"EVALSHA":
            name = names.get(words[1], "?")
            calls[name] += 1
            micros[name] += entry["duration"]
    all_calls, all_micros = sum(calls.values()), sum(micros.values())
    return {name: Share(calls[name] / all_calls, micros[name] / all_micros) for name, _ in calls.most_common()}
