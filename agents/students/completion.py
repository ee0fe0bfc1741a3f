"""What stands in a completion, whatever the server made of the published shape.

Owns the reading of one response that came as plain JSON: its text, why it ended, how many tokens were
counted. Nothing in it is taken for granted: content comes as a text, as a list of blocks, or as the
answer's own object; usage under two pairs of names, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from preceptor.agents.students.retry import Passing, Refused

NONE = "the server answered with something that is no completion"
_TEXTS = ("text", "output_text")


@dataclass(frozen=True)
class Said:
    """A completion.

    Attributes:
        text: The answer, without thoughts that the server keeps apart.
        finish: The finish reason, empty if it tells none.
        read: Tokens of the prompt; None if it does not say.
        written: Tokens of the answer; likewise.
        model: Whose answer it is, as the server says; None if it does not.
    """

    text: str
    finish: str = ""
    read: int | None = None
    written: int | None = None
    model: str | None = None

    @property
    def cut(self) -> bool:
        """Whether the answer was cut off."""
        return self.finish == "length"

    def check(self) -> None:
        """Refuse silence, unless the answer was cut off.

        Raises:
            Passing: If it did not end as an answer does.
            Refused: If it did.
        """
        if not self.text and not self.cut:
            why = f"no text came (finish reason {self.finish[:40]!r})"
            raise Refused(why) if self.finish == "stop" else Passing(why)


def said(body: object) -> Said:
    """Return what a chat completion says, or a completion of a prompt.

    Raises:
        Passing: If it is none: an overloaded server, or a proxy before it, says so for a while.
    """
    choices = body.get("choices") if isinstance(body, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(body, Mapping) or not isinstance(choice, Mapping):
        raise Passing(NONE)
    message = choice.get("message")
    text = _text(message.get("content") if isinstance(message, Mapping) else choice.get("text", ...))
    if text is None:
        raise Passing(NONE)
    model = body.get("model")
    named = model if isinstance(model, str) else None
    return Said(text, str(choice.get("finish_reason") or ""), *usage(body.get("usage")), named)


def _text(content: object) -> str | None:
    """Return content as a text, None if it is of no known kind."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, Mapping):
        return _block(content)
    if isinstance(content, list):
        return "".join(_block(b) if isinstance(b, Mapping) else str(b) for b in content if b)
    return None


def _block(block: Mapping[str, JsonValue]) -> str:
    """Return the text of a block; an object that is no block is an answer that was parsed already."""
    kind = block.get("type")
    if kind in _TEXTS and ("text" in block):
        inner = block["text"]
        return str(inner.get("value") or "") if isinstance(inner, Mapping) else str(inner or "")
    if kind in ("thinking", "reasoning", "redacted_thinking", "refusal", "image_url"):
        return ""
    return json.dumps(block, ensure_ascii=False)


def usage(told: object) -> tuple[int | None, int | None]:
    """Return (tokens read, tokens written), None for what is not told or no count."""
    if not isinstance(told, Mapping):
        return None, None
    pairs = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    read, written = ([_count(told.get(name)) for name in names] for names in pairs)
    return next((n for n in read if n is not None), None), next(
        (n for n in written if n is not None), None
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
        return int(found) if found >= 0 and found == int(found) else None
    except (ValueError, OverflowError):
        return None
