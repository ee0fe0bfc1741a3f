"""The name that a server answers under, beside the one that was asked for.

Owns the judgement whether an answer is of another model: a server with one model may call it anything,
and a service answers with the date of its version; but where names mean something, another one is
another model, and so is one that changes on the way.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

from preceptor.core.errors import StudentError
from preceptor.core.settings import masked

_VERSION = re.compile(r"[-@:.]?(v?\d[\d.\-]*|latest)")


def alike(asked: str, answered: str) -> bool:
    """Return whether two names may mean one model: but for folders, case, and a version's date."""
    one, two = _bare(asked), _bare(answered)
    if one == two or one.partition(":")[0] == two:
        return True
    return two.startswith(one) and _VERSION.fullmatch(two[len(one) :]) is not None


def _bare(name: str) -> str:
    return re.split(r"[/\\]", name.strip().casefold())[-1].removesuffix(".gguf")


class ServedAs:
    """Holds a server to one name.

    Args:
        asked: The model that is asked for.
        listed: What the server says that it has; empty if it does not say.
    """

    def __init__(self, asked: str, listed: Sequence[str] = ()) -> None:
        self._asked = asked
        self._any = len(listed) <= 1 and asked not in listed
        self._listed = tuple(listed)
        self._known = ""
        self._lock = threading.Lock()

    def check(self, answered: object) -> None:
        """Refuse an answer of another model.

        Raises:
            StudentError: If it is of another than was asked, or than answered before.
        """
        if not isinstance(answered, str) or not answered.strip():
            return
        with self._lock:
            before, self._known = self._known, self._known or answered
        if before and before != answered:
            raise StudentError(
                f"the server now answers as {masked(answered)!r}, and did as {masked(before)!r}",
                "another model was loaded on the way; load the former, then resume",
            )
        if not before and not self._any and not alike(self._asked, answered):
            there = next((one for one in self._listed if alike(one, answered)), answered)
            raise StudentError(
                f"the server answers as {masked(answered)!r}, not as {self._asked!r}",
                f"load the latter, or name the model that it has: {masked(there)!r}",
            )
