"""A training row as token ids: the prompt as inference reads it, then what should be said.

Owns the cut between prompt and answer. Prompt ids are those that a student in process is asked with (a
test compares them), so special tokens that stand in a note are broken up, and a template without a
system turn gets the system text before the user's. The answer ends with the template's own end token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from preceptor.tools.sft.job import Failed

Turn = dict[str, str]


class Template:
    """Turns messages into token ids with a model's own chat template.

    Args:
        tokenizer: A fast one of transformers.
        ends: The tokens that end an answer.

    Raises:
        Failed: If it has no chat template.
    """

    def __init__(self, tokenizer: Any, ends: frozenset[int]) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise Failed("the model has no chat template", "train an instruct model", "setup")
        self._tokenizer = tokenizer
        self._ends = ends
        added = tokenizer.added_tokens_decoder.values()
        special = sorted((t.content for t in added if t.special), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special))) if special else None
        self._takes_system = True

    def row(self, prompt: Sequence[Turn], answer: str) -> tuple[list[int], list[int]]:
        """Return (prompt ids, answer ids with the end token).

        Raises:
            Failed: If the template cannot be applied, or changes the answer.
        """
        turns = [{**t, "content": self._plain(t["content"])} for t in prompt]
        said = self._plain(answer)
        asked, whole = self._texts(turns, said)
        if not whole.startswith(asked) or said not in whole[len(asked) :]:
            raise Failed(
                "the model's chat template renders an answer in another way than it asks for it",
                "choose another base model",
                "setup",
            )
        after = whole[whole.index(said, len(asked)) + len(said) :]
        ids = self._ids(asked)
        both = self._ids(asked + said + after)
        # Where prompt and answer would melt into one token, the answer stands alone, as it will when
        # it is generated.
        rest = both[len(ids) :] if both[: len(ids)] == ids else self._ids(said + after)
        return ids, self._until_end(rest)

    @property
    def dated(self) -> bool:
        """Whether the template may say today's date."""
        return "strftime_now" in str(self._tokenizer.chat_template)

    def asked(self, prompt: Sequence[Turn]) -> str:
        """Return the text of a prompt, up to where the answer begins.

        Raises:
            Failed: If the template cannot be applied.
        """
        turns = [{**t, "content": self._plain(t["content"])} for t in prompt]
        return self._texts(turns, "{}")[0]

    def _until_end(self, ids: list[int]) -> list[int]:
        for place, token in enumerate(ids):
            if token in self._ends:
                return ids[: place + 1]
        return [*ids, self._tokenizer.eos_token_id]

    def _texts(self, turns: list[Turn], answer: str) -> tuple[str, str]:
        if self._takes_system:
            from jinja2 import TemplateError

            try:
                return self._both(turns, answer)
            except (TemplateError, ValueError, TypeError) as error:
                if "system" not in str(error).lower():
                    raise Failed("the model's chat template cannot be applied", "", "setup") from error
                self._takes_system = False
        head = "".join(f"{t['content']}\n\n" for t in turns if t["role"] == "system")
        rest = [t for t in turns if t["role"] != "system"]
        return self._both([{**rest[0], "content": head + rest[0]["content"]}, *rest[1:]], answer)

    def _both(self, turns: list[Turn], answer: str) -> tuple[str, str]:
        apply = self._tokenizer.apply_chat_template
        asked = str(apply(turns, tokenize=False, add_generation_prompt=True))
        full = [*turns, {"role": "assistant", "content": answer}]
        return asked, str(apply(full, tokenize=False, add_generation_prompt=False))

    def _ids(self, text: str) -> list[int]:
        encoded = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        return list(encoded.ids)

    def _plain(self, content: str) -> str:
        if self._special is None:
            return content
        return self._special.sub(lambda m: f"{m[0][0]} {m[0][1:]}", content)
