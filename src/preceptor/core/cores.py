"""How many cores of this machine a process may use: in a container or a batch job not all of them."""

from __future__ import annotations

import os
from pathlib import Path


def usable() -> int:
    """Return the cores that this process may run on, at least one."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(count, _quota() or count))


def _quota() -> int | None:
    """Return the whole cores that a container's quota comes to, None without one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        return None
    return max(1, int(quota) // int(period)) if quota.isdigit() and period.isdigit() else None
