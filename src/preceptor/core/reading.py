"""Reading JSON that somebody else wrote: whatever is wrong with it is a ``ValueError``.

Owns one difference to ``json.loads``: text that is nested so deep that Python gives up is no JSON, too,
instead of an error that nobody expects.
"""

from __future__ import annotations

import json
from typing import Any


def loads(text: str | bytes | bytearray) -> Any:  # as json.loads
    """Return the value of a JSON text.

    Raises:
        ValueError: If it is none, nested too deep, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as cause:
        raise ValueError("nested too deep") from cause
