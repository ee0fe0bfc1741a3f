"""The tools of a run: which moves a teacher may make, and the looks.

Owns the choice of tools, and the refusal of moves that there are not. What they do is in ``tools``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from preceptor.agents.brief import Locator
from preceptor.core.blocked import Blocked
from preceptor.core.errors import InputError, StoreError
from preceptor.core.ports import Tool
from preceptor.core.records import ModelRef, Recipe
from preceptor.core.runs import RunStore
from preceptor.core.settings import Settings
from preceptor.graphs import grounds, returning, training
from preceptor.tools.distill.label import LabelExamples
from preceptor.tools.look import CountNotes, DiffRecipes, ErrorsByField, Examples
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.rag.embed import Embedder
from preceptor.tools.rag.index import IndexExamples
from preceptor.tools.sft import routes
from preceptor.tools.sft.finetune import FineTune
from preceptor.tools.sft.options import NEEDED
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
    settings: Settings | None = None,
) -> Toolbox:
    """Return the tools of a run: the moves that are allowed, and the looks.

    Args:
        store: Where earlier recipes are; None before there is a run.
        options: The run's.
        dense: What makes dense vectors, if anything.
        tuner: The move ``fine_tune``.
        labeller: The look ``label_examples``, if there is anything to label.
        settings: Where weights are.
    """
    allowed = [name for name in MOVES if allows(options, name, settings)]

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
    if labeller is not None and "fine_tune" in allowed:
        looks.append(labeller)  # What it gives is of use to that move alone.
    return Toolbox([*(moves[name] for name in allowed), *looks], absent(options, settings, labeller))


def absent(
    options: Options, settings: Settings | None, labeller: LabelExamples | None
) -> tuple[Blocked, ...]:
    """Return the moves that a run does not offer, and the look at weak labels, each with the reason."""
    found = []
    for name in MOVES:
        if not allows(options, name, settings):
            why = "not among --moves" if options.moves else str(untrainable(options.student, settings))
            found.append(Blocked(move=name, reason=why))
    if any(one.move == "fine_tune" for one in found):
        why = "its labels are of use to fine_tune alone"
        found.append(Blocked(move="label_examples", reason=why))
    elif labeller is None:
        why = "there are no unlabelled notes of train's side"
        found.append(Blocked(move="label_examples", reason=why))
    return tuple(found)


def allows(options: Options, name: str, settings: Settings | None = None) -> bool:
    """Return whether a run offers a changing move."""
    if options.moves:
        return name in options.moves
    return name != "fine_tune" or untrainable(options.student, settings) is None


def untrainable(student: str, settings: Settings | None = None) -> InputError | None:
    """Return why trained weights of a student cannot be used here, None if they can.

    They can for a model in process, and for one that Ollama serves if the weights behind it are here,
    Ollama takes them, and they may be sent to it.
    """
    kind = student.partition(":")[0]
    if kind in ("nano", "hf"):
        return None
    if kind != "ollama":
        return InputError(
            f"student {student!r} cannot be fine-tuned here",
            "take nano, hf:FOLDER or ollama:NAME, whose weights are on this machine",
        )
    chosen = settings or Settings()
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        needed = ", ".join(missing)
        return InputError(f"training needs more packages: {needed}", "pip install 'preceptor[local]'")
    try:
        returning.may_leave(student, chosen)
        face = training.faces(chosen)(ModelRef(spec=student))
        routes.settle(grounds.ground(face.folder, None, chosen), None, whole=False, start=None)
    except InputError as error:
        return error
    return None


def check(options: Options, settings: Settings | None = None) -> None:
    """Refuse moves that there are not, or that the student cannot make.

    Raises:
        InputError: Naming the first of them.
    """
    unknown = [name for name in options.moves if name not in MOVES]
    if unknown:
        raise InputError(f"there is no move {unknown[0]!r}", f"the moves are: {', '.join(MOVES)}")
    why = untrainable(options.student, settings) if "fine_tune" in options.moves else None
    if why is not None:
        raise why
