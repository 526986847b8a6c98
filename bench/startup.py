"""What the embedded stack costs before its first job: CPU time until every process is ready, and memory then.

    python -m bench.startup [--runs 3]

Each run starts the stack as `make up` does, waits until the API and all workers are ready, and for some seconds more.
The CPU time is that of all processes together. The memory is the proportional set size (PSS) of each process: a page
that several processes share counts once, divided among them. Linux only.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.cpus import cpu_seconds
from bench.figures import median, print_head, print_table, spread
from maskrelay.stack.loopback import free_port

_ROLES = ("segment", "assemble", "control", "deliver")
_PATIENCE_S = 300.0
#: The sweep starts after its worker is ready, and imports the service again.
_SETTLING_S = 5.0
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_KNOWN = ("simulator", "api", "worker sweep", *(f"worker {role}" for role in _ROLES), "maskrelay.stack.fork_server")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    print_head("Start of the embedded stack", runs)
    measured = [_one_run() for _ in range(runs)]
    names = sorted({name for _, memory in measured for name in memory})
    rows = [[name, spread([memory.get(name, 0.0) for _, memory in measured])] for name in names]
    totals = [sum(memory.values()) for _, memory in measured]
    print_table(("process", "PSS, MB"), [*rows, ["all", spread(totals)]])
    print(f"CPU time until ready: {spread([seconds for seconds, _ in measured])} s; PSS: {median(totals):.0f} MB")


def _one_run() -> tuple[float, dict[str, float]]:
    """Return the CPU seconds until all processes were ready, and the PSS in megabytes by process."""
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        given = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")}
        given |= {"DATA": folder, "PORT": str(free_port())}
        command = [sys.executable, "-m", "maskrelay.stack", "up"]
        stack = subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL, process_group=0)
        try:
            _await_ready(stack, Path(folder) / "logs")
            seconds = cpu_seconds(stack.pid)
            time.sleep(_SETTLING_S)
            return seconds, _memory(psutil.Process(stack.pid))
        finally:
            stack.terminate()
            stack.wait()


def _await_ready(stack: "subprocess.Popen[bytes]", logs: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not all(_says_ready(logs / f"{role}.log") for role in _ROLES):
        if stack.poll() is not None or time.monotonic() > deadline:
            sys.exit("the stack does not start")
        time.sleep(0.05)


def _says_ready(log: Path) -> bool:
    return log.exists() and "worker ready" in log.read_text(errors="replace")


def _memory(root: psutil.Process) -> dict[str, float]:
    memory: dict[str, float] = {}
    for process in (root, *root.children(recursive=True)):
        try:
            words = " ".join(process.cmdline())
            pss = int(_PSS.findall(Path(f"/proc/{process.pid}/smaps_rollup").read_text())[0])
        except (psutil.NoSuchProcess, OSError):
            continue
        name = next((known for known in _KNOWN if f"-m {known}" in words), process.name())
        name = "supervisor" if process.pid == root.pid else name
        memory[name] = memory.get(name, 0.0) + pss / 1024
    return memory


if __name__ == "__main__":
    main()
