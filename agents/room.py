"""How much a chat teacher can be told: the context of its model, measured in that model's tokens.

Owns the arithmetic: characters per token, learned from what the server counted and from what it
refused; how much a slow server is still asked; and the window that Ollama is asked to load. Leaves what
is left out to ``agents.brief`` and ``agents.fitting``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST = 3.0
"""Characters per token before anything was counted."""

FEWEST, MOST = 0.5, 4.5
"""No tokenizer has fewer characters per token; more are not relied on, since a server may leave cached
tokens uncounted."""

CAREFUL = 0.96
"""Of the characters per token that were counted: the next text may have more tokens."""

REFUSED = 0.75
"""What is left of the characters per token after a refusal that says no number."""

STEP = 2048
"""Ollama's windows grow in steps, because it loads a model anew for every other one."""

LOOSER = 500
"""Characters by which a limit that is too tight grows."""

LEAST_ANSWER = 256
PARTS = 4
"""An answer takes no more than one part of the context in so many."""

_LENGTH = re.compile(r"maximum context length (?:is|of) (\d+)", re.IGNORECASE)


@dataclass
class Room:
    """What fits.

    Attributes:
        context: The most tokens of prompt and answer, None if unknown.
        answer: The most tokens of an answer where there is room.
        ratio: Characters per token.
        limit: The most characters that are sent, where a server was too slow or refused without a
            number; None if there is no such limit.
        window: The window that Ollama was last asked for.
    """

    context: int | None
    answer: int
    ratio: float = FIRST
    limit: int | None = None
    window: int = 0

    @property
    def limited(self) -> bool:
        """Whether anything says how much may be sent."""
        return self.context is not None or self.limit is not None

    @property
    def answer_tokens(self) -> int:
        """The most tokens of the next answer."""
        return min(self.answer, self.context // PARTS) if self.context else self.answer

    def chars(self, usual: int) -> int:
        """Return how many characters all that is sent may have.

        Args:
            usual: How many it would have where there is room.
        """
        most = usual if self.limit is None else min(usual, self.limit)
        if self.context is None:
            return most
        return min(most, int((self.context - self.answer_tokens) * self.ratio))

    def window_for(self, chars: int) -> int:
        """Return the window, in tokens, for so many characters and an answer; it never shrinks."""
        needed = -(-int(chars / self.ratio + self.answer_tokens) // STEP) * STEP
        self.window = max(self.window, needed)
        if self.context is not None:
            self.window = min(self.window, self.context)
        return self.window

    def count(self, chars: int, tokens: int) -> None:
        """Learn from an answer: so many characters were so many tokens."""
        if tokens > 0:
            self.ratio = min(MOST, max(FEWEST, CAREFUL * chars / tokens))

    def refuse(self, chars: int, said: str, body: object) -> None:
        """Learn from a refusal of so many characters as too long.

        Args:
            chars: What was sent.
            said: The server's words.
            body: Its error as an object, if it is one.
        """
        told = body if isinstance(body, dict) else {}
        told = told["error"] if isinstance(told.get("error"), dict) else told
        found = _LENGTH.search(said)
        context = told.get("n_ctx") or (int(found[1]) if found else None)
        if isinstance(context, int) and context > 0:
            self.context = min(context, self.context or context)
        tokens = told.get("n_prompt_tokens")
        if isinstance(tokens, int) and tokens > 0:
            self.count(chars, tokens)
        elif self.context is not None and self.chars(chars) >= chars:
            self.ratio = max(FEWEST, REFUSED * self.ratio)
        elif self.context is None:
            self.limit = int(REFUSED * chars)

    def loosen(self, usual: int) -> bool:
        """Send a little more after all, since less makes no sense; return whether that was possible."""
        before = self.chars(usual)
        if self.limit is not None:
            self.limit = (self.limit // LOOSER + 1) * LOOSER
        return self.chars(usual) > before

    def hurry(self, chars: int) -> None:
        """Learn from a server that took too long over so many characters: half of all is asked."""
        self.limit = chars // 2
        self.answer = max(LEAST_ANSWER, self.answer // 2)


def is_too_long(code: int | None, said: str) -> bool:
    """Return whether a server refused a request because of its length."""
    if code not in (400, 413):
        return False
    low = said.lower()
    return any(
        part in low for part in ("context length", "context size", "context_length", "context window")
    )
