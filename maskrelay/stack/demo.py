"""`python -m maskrelay.stack demo`: segment real photographs with the whole stack, and verify the signed callbacks."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from maskrelay.client.table import table
from maskrelay.errors import SettingsError, StackError
from maskrelay.stack.child_process import alive
from maskrelay.stack.demo_checks import faults
from maskrelay.stack.loopback import HOST, free_port
from maskrelay.stack.pictures import PHOTOGRAPHS, Photograph
from maskrelay.stack.receiver import Receiver, receiving
from maskrelay.stack.running import EmbeddedStack, running
from maskrelay.stack.supervisor import Ending
from maskrelay.stack.up import end_on_signals, say

_PATIENCE_S = 300
_HEAD = ("image", "prompt", "category", "area px", "mask", "overlay")


@dataclass(frozen=True, slots=True)
class _Seen:
    """The result for one photograph: rows for the table, and descriptions of problems."""

    rows: Sequence[tuple[object, ...]]
    wrong: Sequence[str]


def demo(given: Mapping[str, str], output: Path) -> int:
    """Segment the photographs with the whole stack. Return 0 only if there was no problem and no process remains."""
    ending = Ending()
    end_on_signals(ending)
    say("Starting Valkey, the simulator, the API and the workers …")
    with tempfile.TemporaryDirectory(prefix="maskrelay-demo-") as folder, receiving() as receiver:
        data = Path(folder)
        try:
            with running(_settings(given), data, free_port(), say=say, ending=ending) as stack:
                seen = _segment_all(stack, receiver, output, ending)
        except (SettingsError, StackError) as error:
            say(f"The demo cannot run: {error.detail}", to_stderr=True)
            return 1
        wrong = [fault for result in seen for fault in result.wrong]
        wrong += [f"process group {group} is still running" for group in stack.supervisor.groups if alive(group)]
        if len(seen) < len(PHOTOGRAPHS):
            wrong.append("the demo was interrupted")
        if wrong:
            shutil.copytree(stack.logs, output / "logs", dirs_exist_ok=True)
    return _tell(seen, wrong, output)


def _settings(given: Mapping[str, str]) -> dict[str, str]:
    """Return the given environment, changed to allow callbacks on loopback and to use the demo's own API key."""
    allowed = given.get("MASKRELAY_CALLBACK_ALLOW")
    changed = {"MASKRELAY_CALLBACK_ALLOW": f"{allowed},{HOST}" if allowed else HOST}
    unset = {"MASKRELAY_KEYS_FILE", "MASKRELAY_PUBLIC_URL"}
    return {name: value for name, value in given.items() if name not in unset} | changed


def _segment_all(stack: EmbeddedStack, receiver: Receiver, output: Path, ending: Ending) -> list[_Seen]:
    """Submit each photograph with the command-line client, while a thread supervises the stack."""
    watching = Thread(target=stack.supervisor.watch, daemon=True)
    watching.start()
    output.mkdir(parents=True, exist_ok=True)
    seen: list[_Seen] = []
    try:
        for photograph in PHOTOGRAPHS:
            if not ending.wanted:
                say(f"\n{photograph.file}: {' & '.join(photograph.prompts)}")
                seen.append(_segment(stack, receiver, photograph, output))
    finally:
        ending.wanted = True  # otherwise the supervisor would restart the processes that end
        watching.join()
    say("\nStopping …")
    return seen


def _segment(stack: EmbeddedStack, receiver: Receiver, photograph: Photograph, output: Path) -> _Seen:
    path = photograph.copy_to(output)
    command = [sys.executable, "-m", "maskrelay.client.cli", "submit", str(path), "--callback", receiver.url]
    command += [word for prompt in photograph.prompts for word in ("--prompt", prompt)]
    command += ["--wait", "--save", str(output), "--json"]
    address = {"MASKRELAY_URL": stack.layout.url, "MASKRELAY_API_KEY": stack.layout.api_key or ""}
    try:
        ran = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            env={**stack.layout.environment, **address},
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _Seen([], [f"{photograph.file} was not finished after {_PATIENCE_S} s"])
    if not ran.stdout:
        return _Seen([], [f"the client ended with exit code {ran.returncode}"])
    answer = json.loads(ran.stdout)
    wrong = list(faults(answer, path, receiver))
    if not wrong:
        say("Callback received and signature verified")
    return _Seen(_rows(answer, photograph), wrong)


def _rows(answer: dict[str, Any], photograph: Photograph) -> list[tuple[object, ...]]:
    files = {(file["output"], file.get("prompt")): file["path"] for file in answer["files"]}
    overlay = files.get(("overlay", None))
    masks = [mask for item in answer["items"] for mask in item["masks"]]
    return [
        (
            photograph.file,
            mask["prompt"],
            mask.get("category"),
            mask["area_px"],
            files.get(("mask", mask["prompt"])),
            overlay,
        )
        for mask in masks
    ]


def _tell(seen: Sequence[_Seen], wrong: Sequence[str], output: Path) -> int:
    say("\n" + table(_HEAD, [row for result in seen for row in result.rows]))
    if wrong:
        say("\n" + "\n".join(f"wrong: {fault}" for fault in wrong), to_stderr=True)
        say(f"The logs are in {output / 'logs'}.", to_stderr=True)
        return 1
    say(f"\nAll masks, callbacks and signatures are correct, and all processes have ended. The files are in {output}.")
    say("The masks come from the simulator's classical image processing, not from the model. For research use only.")
    return 0
