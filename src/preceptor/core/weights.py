"""What names a student's weights: the model that answers, and what was trained on it.

Owns the two references; ``core.records`` gives them on as parts of a recipe.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue, SerializerFunctionWrapHandler, model_serializer

from preceptor.core.record import Record


class ModelRef(Record):
    """Which model answers.

    Attributes:
        spec: ``nano``, ``hf:PATH``, ``hf:NAME``, ``ollama:NAME``, ``openai:NAME@URL``, ``scripted``,
            ``simulated``.
        digest: The model's own content hash, where the backend tells one.
        base: What the model was called whose weights were trained further and are served as ``spec``,
            the recipe's adapter merged into them; empty for a model as it was found. Left out of the
            JSON where it is empty, so that recipes without it keep their hashes.
    """

    spec: str
    digest: str = ""
    base: str = ""

    @model_serializer(mode="wrap")
    def _without_empty_base(self, whole: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = whole(self)
        if not self.base:
            del found["base"]
        return found


class AdapterRef(Record):
    """Which trained weights stand on top of, or in place of, the base model."""

    digest: str
    kind: Literal["lora", "merged"] = "lora"
