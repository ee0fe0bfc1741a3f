"""What training and inference must do alike with a model's own chat template.

Owns what keeps a note's text text (a special token that somebody typed is broken up before the template
is applied, so that nothing in a message can end it or open another), where the system text goes if a
template takes none, and the date: a prompt is the same on every day. Leaves tokenizers, token ids and
the words of an error to those who render.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

Turn = dict[str, str]
"""A message as a template wants it: ``role`` and ``content``."""

T = TypeVar("T")


DATE = datetime(2024, 7, 26)
"""The date that Llama 3's own template says where nobody tells one."""

_NOW = re.compile(r"""strftime_now\(\s*(?P<quote>['"])(?P<form>[^'"]*)(?P=quote)\s*\)""")


def undated(template: object) -> str | None:
    """Return a chat template that says ``DATE`` where it would say today's.

    transformers hands a template plain data only, so that its clock can only be replaced in its text.

    Args:
        template: The tokenizer's; where it has several by name, None is returned, which takes its own.
    """
    if not isinstance(template, str):
        return None
    return _NOW.sub(lambda found: repr(DATE.strftime(found["form"])), template)


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
