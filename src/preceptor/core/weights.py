"""What names a student's weights: the model that answers, and what was trained on it.

Owns the two references; ``core.records`` gives them on as parts of a recipe.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import JsonValue, SerializerFunctionWrapHandler, model_serializer

from preceptor.core.record import Record

Precision = Literal["auto", "fp32", "bf16"]
"""What a model in process computes in: ``auto`` is fp32 on a CPU, and as its weights are stored on a
GPU; ``bf16`` multiplies matrices in 16 bits, several times faster where the processor can."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

IN_PROCESS = ("nano", "hf")
"""The kinds of students whose weights are on this machine."""


class ModelRef(Record):
    """Which model answers.

    Attributes:
        spec: ``nano``, ``hf:PATH``, ``hf:NAME``, ``ollama:NAME``, ``openai:NAME@URL``, ``scripted``,
            ``simulated``.
        digest: The model's own content hash, where the backend tells one.
        base: What the model was called whose weights were trained further and are served as ``spec``,
            the recipe's adapter merged into them; empty for a model as it was found.
        precision: What it computes in; answers differ by rounding. ``auto`` for served models.

    ``base`` and ``precision`` are left out of the JSON where nothing was said, so that recipes without
    them keep their hashes.
    """

    spec: str
    digest: str = ""
    base: str = ""
    precision: Precision = "auto"

    @classmethod
    def asked(cls, spec: str, precision: Precision) -> ModelRef:
        """Return the model of a name; the precision is of models in process, others have their own."""
        inside = spec.partition(":")[0] in IN_PROCESS
        return cls(spec=spec, precision=precision if inside else "auto")

    @property
    def title(self) -> str:
        """Its name for a person."""
        return self.spec if self.precision == "auto" else f"{self.spec} in {self.precision}"

    @model_serializer(mode="wrap")
    def _without_defaults(self, whole: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = whole(self)
        if not self.base:
            del found["base"]
        if self.precision == "auto":
            del found["precision"]
        return found


class AdapterRef(Record):
    """Which trained weights stand on top of, or in place of, the base model."""

    digest: str
    kind: Literal["lora", "merged"] = "lora"
