"""How many tokens calls take: at most, before they are asked, and as told, after.

Owns both figures, which claims on the budget and their settlement are made of. Leaves prices to
``prices`` and the account to ``ledger``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from preceptor.core.fields import LabelField, object_schema
from preceptor.core.records import Call, Reply

CHARS_PER_TOKEN = 3
"""Below the usual four, so that a claim rather covers too much."""

FRAME_TOKENS = 24
"""Tokens of a chat message's frame and of an answer's braces, roughly, at most."""


def most_read(call: Call) -> int:
    """Return the most tokens of a call's prompt, with the schema that is sent beside it."""
    chars = sum(len(m.content) for m in call.messages)
    return (chars + len(json.dumps(object_schema(call.fields)))) // CHARS_PER_TOKEN + FRAME_TOKENS


def most_written(call: Call) -> int:
    """Return the most tokens of a call's answer: of labels and values, what the longest ones take."""
    longest = 0
    for field in call.fields:
        if not field.values or not call.decoding.constrained:
            return call.decoding.room
        # A list may repeat its longest value, and puts quotes and a comma around each.
        times = 1 if isinstance(field, LabelField) else field.max_items
        longest += len(field.name) + times * (max(map(len, field.values)) + 4) + 4
    thoughts = call.decoding.room - call.decoding.max_tokens
    return thoughts + min(call.decoding.max_tokens, longest // 2 + FRAME_TOKENS)


@dataclass
class Tally:
    """Tokens of replies so far.

    Attributes:
        read: Input tokens; None once a server has not said.
        written: Output tokens, likewise.
        replies: How many replies.
    """

    read: int | None = 0
    written: int | None = 0
    replies: int = 0

    def add(self, read: int | None, written: int | None) -> None:
        """Count one reply of so many tokens."""
        self.replies += 1
        # A server that counts nothing may say so with zeros.
        known = bool(read) and written is not None
        self.read = self.read + (read or 0) if known and self.read is not None else None
        self.written = self.written + (written or 0) if known and self.written is not None else None

    def count(self, reply: Reply, call: Call) -> None:
        """Count a reply; one that failed counts in full, since nobody says whether it was charged."""
        if reply.status == "failed":
            self.add(most_read(call), most_written(call))
        else:
            self.add(reply.prompt_tokens, reply.completion_tokens)
