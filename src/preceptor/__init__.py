"""Preceptor: a teacher agent that makes compact local language models good enough at extraction.

The names here are the public API for plug-ins and programs; everything else may move. A name is
imported when it is first used, so that the command line starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preceptor.core.errors import (
        BudgetStop,
        InputError,
        Interrupted,
        PreceptorError,
        StoreError,
        StudentError,
        TaskError,
        TeacherError,
    )
    from preceptor.core.fields import FieldSpec, LabelField, ListField
    from preceptor.core.ports import (
        Evaluator,
        Evidence,
        Retriever,
        Scorer,
        Student,
        Teacher,
        Tool,
        ToolResult,
        ToolSpec,
    )
    from preceptor.core.records import (
        Answer,
        Call,
        Decoding,
        Evaluation,
        Example,
        Finding,
        Guide,
        Message,
        ModelRef,
        Prompt,
        Recipe,
        Reply,
        Scored,
        Shot,
        Situation,
        TeacherTurn,
    )

__all__ = [
    "Answer",
    "BudgetStop",
    "Call",
    "Decoding",
    "Evaluation",
    "Evaluator",
    "Evidence",
    "Example",
    "FieldSpec",
    "Finding",
    "Guide",
    "InputError",
    "Interrupted",
    "LabelField",
    "ListField",
    "Message",
    "ModelRef",
    "PreceptorError",
    "Prompt",
    "Recipe",
    "Reply",
    "Retriever",
    "Scored",
    "Scorer",
    "Shot",
    "Situation",
    "StoreError",
    "Student",
    "StudentError",
    "TaskError",
    "Teacher",
    "TeacherError",
    "TeacherTurn",
    "Tool",
    "ToolResult",
    "ToolSpec",
]

_HOMES = ("errors", "fields", "ports", "records")


def __getattr__(name: str) -> object:
    """Import a public name from the module of core that holds it."""
    if name in __all__:
        for home in _HOMES:
            found: object = getattr(import_module(f"preceptor.core.{home}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module 'preceptor' has no attribute {name!r}")
