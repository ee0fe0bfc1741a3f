"""The tools of a run: which moves a teacher may make, and the looks.

Owns the choice of tools, and the refusal of moves that there are not. What they do is in ``tools``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from preceptor.agents.brief import Locator
from preceptor.core.errors import InputError, StoreError
from preceptor.core.ports import Tool
from preceptor.core.records import Recipe
from preceptor.core.runs import RunStore
from preceptor.tools.distill.label import LabelExamples
from preceptor.tools.look import CountNotes, DiffRecipes, ErrorsByField, Examples
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.rag.embed import Embedder
from preceptor.tools.rag.index import IndexExamples
from preceptor.tools.sft.finetune import FineTune
from preceptor.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from preceptor.graphs.wiring import Options

MOVES = ("edit_prompt", "index_examples", "fine_tune")
"""The changing moves that there are."""


def toolbox(
    store: RunStore | None,
    options: Options,
    dense: Embedder | None,
    tuner: FineTune,
    labeller: LabelExamples | None = None,
) -> Toolbox:
    """Return the tools of a run: the moves that are allowed, and the looks.

    Args:
        store: Where earlier recipes are; None before there is a run.
        options: The run's.
        dense: What makes dense vectors, if anything.
        tuner: The move ``fine_tune``.
        labeller: The look ``label_examples``, if there is anything to label.
    """

    def lookup(digest: str) -> Recipe | None:
        try:
            return store.artefacts.get_record(digest, Recipe) if store is not None else None
        except StoreError:
            return None

    moves: dict[str, Tool[Any]] = {
        "edit_prompt": EditPrompt(),
        "index_examples": IndexExamples(dense),
        "fine_tune": tuner,
    }
    looks: list[Tool[Any]] = [
        ErrorsByField(),
        Examples(locate=Locator()),
        DiffRecipes(lookup),
        CountNotes(),
    ]
    if labeller is not None and allows(options, "fine_tune"):
        looks.append(labeller)  # What it gives is of use to that move alone.
    return Toolbox([*(moves[name] for name in MOVES if allows(options, name)), *looks])


def allows(options: Options, name: str) -> bool:
    """Return whether a run offers a changing move."""
    return name in options.moves if options.moves else name != "fine_tune" or _trainable(options)


def _trainable(options: Options) -> bool:
    """Whether trained weights of the student can be used here: a model in process."""
    return options.student.partition(":")[0] in ("nano", "hf")


def check(options: Options) -> None:
    """Refuse moves that there are not, or that the student cannot make.

    Raises:
        InputError: Naming the first of them.
    """
    unknown = [name for name in options.moves if name not in MOVES]
    if unknown:
        raise InputError(f"there is no move {unknown[0]!r}", f"the moves are: {', '.join(MOVES)}")
    if "fine_tune" in options.moves and not _trainable(options):
        raise InputError(
            f"student {options.student!r} cannot be fine-tuned here",
            "take nano or hf:FOLDER, whose weights are on this machine",
        )
