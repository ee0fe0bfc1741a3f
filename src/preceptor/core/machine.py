"""What of this machine a process may use: in a container or a batch job not all cores and memory."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def cores() -> int:
    """Return how many cores this process may run on, at least one."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota, _, period = _said(CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        count = min(count, int(quota) // int(period))
    return max(1, count)


def memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> tuple[int, int] | None:
    """Return the bytes of memory in all, and of them those that are free; None if nobody says.

    Args:
        meminfo: What Linux says of the machine.
        cgroup: What it says of the container.
    """
    rows = dict(line.split(":", 1) for line in _said(meminfo).splitlines() if ":" in line)
    try:
        total, free = (1024 * int(rows[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    except (KeyError, ValueError, IndexError):
        return None
    most, used = _said(cgroup / "memory.max"), _said(cgroup / "memory.current")
    if most.isdigit() and used.isdigit():
        total, free = min(total, int(most)), min(free, max(0, int(most) - int(used)))
    return total, free


def _said(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""
