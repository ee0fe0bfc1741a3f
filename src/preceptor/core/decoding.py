"""How an answer is sampled, as a recipe says it.

Owns the settings that change a student's answers without changing its prompt. ``core.records`` gives
them on as a part of a recipe.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from preceptor.core.record import Record

Thinking = Literal["auto", "on", "off"]
"""Whether a model that can think aloud shall."""


THOUGHTS = 4_096
"""What a model that thinks aloud may write before its answer: servers count both against one limit."""


class Decoding(Record):
    """How an answer is sampled.

    Attributes:
        temperature: Of sampling; 0 always takes the likeliest token.
        seed: Of sampling.
        max_tokens: The longest answer to one call, thoughts not counted (see ``core.lengths``).
        constrained: Whether only texts that fit the schema can come out.
        think: Whether a model that can think aloud does so before it answers, as was tried with it;
            ``auto`` where nothing was tried: then it is told not to, as before there was a choice.
            Left out of the JSON, so that recipes without it keep their hashes.
    """

    temperature: float = Field(default=0.0, ge=0)
    seed: int = 0
    max_tokens: int = Field(default=256, ge=1)
    constrained: bool = True
    think: Thinking = "auto"

    @property
    def room(self) -> int:
        """The most tokens that may be written before the answer is whole, thoughts and all."""
        return self.max_tokens + (THOUGHTS if self.think == "on" else 0)

    @model_serializer(mode="wrap")
    def _without_defaults(self, whole: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = whole(self)
        if self.think == "auto":
            del found["think"]
        return found
