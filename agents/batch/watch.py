"""Waiting that a person can end: what persists and batches wait with.

Owns the slices in which a wait is spent, so that Ctrl-C or a stop file is noticed within a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from preceptor.core.ports import Cancel

SLICE = 0.5


@dataclass(frozen=True)
class Watch:
    """Waits, and tells when a person wants to stop.

    Attributes:
        cancel: Whether a person does.
        sleep: How to let time pass.
    """

    cancel: Cancel
    sleep: Callable[[float], object] = time.sleep

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds; return True, at once, if a person wants to stop."""
        while not self.cancel():
            if timeout <= 0:
                return False
            self.sleep(min(SLICE, timeout))
            timeout -= SLICE
        return True
