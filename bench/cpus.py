"""The CPU time of processes and all of their descendants, whether they are running or have ended."""

import psutil


def cpu_seconds(pid: int) -> float:
    """Return the user and system seconds of the process, its running descendants, and the ended ones
    that were waited for.
    """
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_seconds(process) for process in family)


def _seconds(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))  # the user and system time of the process and of its ended children
    except psutil.NoSuchProcess:
        return 0.0
