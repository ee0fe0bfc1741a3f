"""What training and inference must do alike with a model's own chat template.

Owns what keeps a note's text text (a special token that somebody typed is broken up before the template
is applied, so that nothing in a message can end it or open another), and where the system text goes
if a template takes none. Leaves tokenizers, token ids and the words of an error to those who render.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Turn = dict[str, str]
"""A message as a template wants it: ``role`` and ``content``."""

T = TypeVar("T")


class ChatTemplate:
    """Prepares messages for the chat template of a tokenizer.

    Args:
        tokenizer: A fast one of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder.values()
        special = sorted((t.content for t in added if t.special), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special))) if special else None
        self._takes_system = True

    def plain(self, content: str) -> str:
        """Return a message's text without special tokens."""
        if self._special is None:
            return content
        return self._special.sub(lambda m: f"{m[0][0]} {m[0][1:]}", content)

    def apply(self, turns: Sequence[Turn], render: Callable[[list[Turn]], T], trouble: Exception) -> T:
        """Return what ``render`` makes of messages, after making them plain.

        Args:
            turns: The messages; for a template that takes no system text it goes before the user's.
            render: Applies the template.
            trouble: What to raise if the template cannot be applied.
        """
        made = [{**turn, "content": self.plain(turn["content"])} for turn in turns]
        if self._takes_system:
            from jinja2 import TemplateError

            try:
                return render(made)
            except (TemplateError, ValueError, TypeError) as error:
                # Some templates raise at a system message.
                if "system" not in str(error).lower():
                    raise trouble from error
                self._takes_system = False
        head = "".join(f"{t['content']}\n\n" for t in made if t["role"] == "system")
        rest = [t for t in made if t["role"] != "system"]
        return render([{**rest[0], "content": head + rest[0]["content"]}, *rest[1:]])
