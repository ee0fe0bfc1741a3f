"""A training row as token ids: the prompt as inference reads it, then what should be said.

Owns the cut between prompt and answer, and which of the latter's tokens decide something. Prompt ids
are those that a student in process is asked with (a test compares them): ``core.template`` prepares
both. The answer ends with the template's own end token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from preceptor.core.template import ChatTemplate, Turn, undated
from preceptor.tools.sft.bundles import FORCED
from preceptor.tools.sft.job import Failed


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
        self._template = ChatTemplate(tokenizer)
        self._told = undated(tokenizer.chat_template)

    def row(self, prompt: Sequence[Turn], answer: str) -> tuple[list[int], list[int]]:
        """Return (prompt ids, answer ids with the end token).

        Raises:
            Failed: If the template cannot be applied, or changes the answer.
        """
        prompt_ids, answer_ids, _ = self.chosen(prompt, answer, ())
        return prompt_ids, answer_ids

    def chosen(
        self, prompt: Sequence[Turn], answer: str, choices: Sequence[tuple[int, int, int]]
    ) -> tuple[list[int], list[int], list[int]]:
        """Return (prompt ids, answer ids with the end token, the field that each of these decides).

        Args:
            prompt: The messages.
            answer: What should be said.
            choices: (start, end, field) of its decided characters; a token that holds one of them
                decides the field, any other is forced: ``FORCED``. Without any, all decide field 0.

        Raises:
            Failed: If the template cannot be applied, or changes the answer.
        """
        said = self._template.plain(answer)
        asked, whole = self._texts(prompt, said)
        if not whole.startswith(asked) or said not in whole[len(asked) :]:
            raise Failed(
                "the model's chat template renders an answer in another way than it asks for it",
                "choose another base model",
                "setup",
            )
        after = whole[whole.index(said, len(asked)) + len(said) :]
        ids = self._ids(asked)
        both, places = self._placed(asked + said + after)
        shift = len(asked)
        # Where prompt and answer would melt into one token, the answer stands alone, as it will when
        # it is generated.
        if both[: len(ids)] == ids:
            rest, places = both[len(ids) :], places[len(ids) :]
        else:
            rest, places = self._placed(said + after)
            shift = 0
        kept = self._until_end(rest)
        if said != answer or not choices:  # Of a text that was changed, no places are known.
            choices = [(0, len(said), 0)]
        moved = [(start + shift, end + shift, field) for start, end, field in choices]
        fields = [_decided(place, moved) for place in places[: len(kept)]]
        return ids, kept, fields + [FORCED] * (len(kept) - len(fields))

    @property
    def dated(self) -> bool:
        """Whether the template says a date, which is then always the same."""
        return "strftime_now" in str(self._tokenizer.chat_template)

    def asked(self, prompt: Sequence[Turn]) -> str:
        """Return the text of a prompt, up to where the answer begins.

        Raises:
            Failed: If the template cannot be applied.
        """
        return self._texts(prompt, "{}")[0]

    def _until_end(self, ids: list[int]) -> list[int]:
        for place, token in enumerate(ids):
            if token in self._ends:
                return ids[: place + 1]
        return [*ids, self._tokenizer.eos_token_id]

    def _texts(self, prompt: Sequence[Turn], answer: str) -> tuple[str, str]:
        trouble = Failed("the model's chat template cannot be applied", "", "setup")
        return self._template.apply(prompt, lambda turns: self._both(turns, answer), trouble)

    def _both(self, turns: list[Turn], answer: str) -> tuple[str, str]:
        asked = self._applied(turns, opened=True)
        return asked, self._applied([*turns, {"role": "assistant", "content": answer}], opened=False)

    def _applied(self, turns: list[Turn], *, opened: bool) -> str:
        text = self._tokenizer.apply_chat_template(
            turns, chat_template=self._told, tokenize=False, add_generation_prompt=opened
        )
        return str(text)

    def _ids(self, text: str) -> list[int]:
        return self._placed(text)[0]

    def _placed(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        encoded = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        return list(encoded.ids), list(encoded.offsets)


def _decided(place: tuple[int, int], choices: Sequence[tuple[int, int, int]]) -> int:
    """Return the field that characters decide, ``FORCED`` if none."""
    begin, end = place
    return next((field for start, stop, field in choices if start < end and begin < stop), FORCED)
