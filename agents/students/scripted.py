"""The scripted student: says what it was told to say, and goes wrong when it was told to.

Shipped for tests of whatever uses a student, and for measuring the harness itself: without faults
and delay it answers at once. Owns no judgement about answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from preceptor.core.errors import StudentError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, Gold, ModelRef, Reply
from preceptor.core.render import answer_text

Fault = Literal["fail", "truncate", "garble", "down"]
"""A failed reply; an answer cut off; an answer that is no JSON; a ``StudentError`` for all calls."""


def nothing_found(fields: Sequence[FieldSpec]) -> Gold:
    """Return the answer «nothing found» to ``fields``: default labels and empty lists."""
    return {f.name: f.default if isinstance(f, LabelField) else [] for f in fields}


class ScriptedStudent:
    """Answers from a script.

    Args:
        script: Values per example id (what is missing is answered with «nothing found»), or a
            function that returns the text of an answer.
        faults: What goes wrong at which call, counted from 0 over the student's life.
        delay: Seconds before each answer.
        digest: What ``ref`` says about the model.
    """

    def __init__(
        self,
        script: Mapping[str, Gold] | Callable[[Call], str],
        *,
        faults: Mapping[int, Fault] | None = None,
        delay: float = 0.0,
        digest: str = "",
    ) -> None:
        self._script = script
        self._faults = faults or {}
        self._delay = delay
        self.ref = ModelRef(spec="scripted", digest=digest)
        self.context: int | None = None
        self.answered = 0

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls in their order.

        Raises:
            StudentError: At a call whose fault is ``down``.
        """
        for call in calls:
            if cancel is not None and cancel():
                return
            if self._delay:
                time.sleep(self._delay)
            fault = self._faults.get(self.answered)
            self.answered += 1
            yield self._reply(call, self._text(call), fault)

    def close(self) -> None:
        """Hold nothing, so give nothing back."""

    def _text(self, call: Call) -> str:
        if callable(self._script):
            return self._script(call)
        known = self._script.get(call.example_id, {})
        return answer_text({**nothing_found(call.fields), **known}, call.fields)

    def _reply(self, call: Call, text: str, fault: Fault | None) -> Reply:
        size = sum(len(m.content) for m in call.messages) // 4, len(text) // 4 + 1
        if fault == "down":
            raise StudentError("scripted student: down, as scripted")
        if fault == "fail":
            return Reply(call.key, "", "failed", error="failed, as scripted")
        if fault == "truncate":
            return Reply(call.key, text[: len(text) // 2], "truncated", *size, self._delay)
        if fault == "garble":
            text = text[::-1]
        return Reply(call.key, text, "ok", *size, self._delay)
