"""A scripted server with slots, as llama.cpp has them: each remembers the last text that it read.

Owns how much of a prompt is read again. Requests wait in line for a free slot, and get the one that
remembers the longest beginning of its prompt; ``read`` counts the tokens that were new there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.servers.scripted import Body, Request, Response, prompt_text, tokens


@dataclass
class _Slot:
    """What a slot remembers."""

    text: Sequence[str] = field(default_factory=tuple)

    def common(self, prompt: Sequence[str]) -> int:
        pairs = zip(self.text, prompt, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class SlotServer(OpenAIServer):
    """Speaks chat completions as llama.cpp's server does, ``/props`` included.

    Args:
        slots: How many requests it works on at once; the others wait.
        pace: Seconds that a token takes that is not remembered.
        each: Seconds that an answer takes besides.

    Attributes:
        read: The tokens that were read.
        given: The tokens of all prompts.
    """

    def __init__(self, slots: int, pace: float = 0.0, each: float = 0.0) -> None:
        self.read = self.given = 0
        self._pace, self._each = pace, each
        self._count = slots
        self._free = [_Slot() for _ in range(slots)]
        self._turn = threading.Condition()
        self._queue: deque[object] = deque()
        super().__init__()

    def respond(self, request: Request) -> Response:
        """Return what the API answers."""
        if request.path == "/props":
            return Response.of({"total_slots": self._count})
        if request.path == "/v1/models":
            entry: Body = {"id": "scripted", "object": "model", "created": 0, "owned_by": "llamacpp"}
            return Response.of({"object": "list", "data": [entry]})
        if request.path not in self.answering:
            return super().respond(request)
        prompt = tokens(prompt_text(request.body))
        with self._slot(prompt) as new:
            time.sleep(self._each + self._pace * new)
            return super().respond(request)

    @contextmanager
    def _slot(self, prompt: Sequence[str]) -> Iterator[int]:
        """Hold a slot; yield how many tokens it has to read."""
        mine = object()
        with self._turn:
            self._queue.append(mine)
            self._turn.wait_for(lambda: self._free and self._queue[0] is mine)
            self._queue.popleft()
            slot = max(self._free, key=lambda one: one.common(prompt))
            self._free.remove(slot)
            new = len(prompt) - slot.common(prompt)
            self.read, self.given = self.read + new, self.given + len(prompt)
            self._turn.notify_all()
        slot.text = prompt
        try:
            yield new
        finally:
            with self._turn:
                self._free.append(slot)
                self._turn.notify_all()
