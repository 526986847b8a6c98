"""CPU time of processes and all of their descendants, running or ended."""

import psutil


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of the process, its living descendants and the ended ones that were waited for."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_seconds(process) for process in family)


def _seconds(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))  # user and system time, of the process and of ended children
    except psutil.NoSuchProcess:
        return 0.0
