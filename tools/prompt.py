"""The move ``edit_prompt``: typed patches on what a student is told.

Owns the order in which patches are checked and applied, and the report to the teacher. The patches
themselves are in ``tools.patches``, the copy guard in ``tools.guard``. One broken patch refuses the
whole move: a teacher should know what was kept.
"""

from __future__ import annotations

from pydantic import Field

from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, ToolResult
from preceptor.core.record import Record
from preceptor.core.records import Example, Recipe, Shot
from preceptor.core.render import calls
from preceptor.tools.guard import CopyGuard
from preceptor.tools.patches import (
    AddLookFor,
    AddRule,
    AddShot,
    Draft,
    DropLookFor,
    DropRule,
    DropShot,
    EditRule,
    Patch,
    SetInstruction,
    SetMeaning,
    find_sentence,
    one_line,
)

CHARS_PER_TOKEN = 4
"""The usual rule of thumb for English; only an estimate is made from it."""

MAX_PATCHES = 120


class EditPromptArgs(Record):
    """The arguments of ``edit_prompt``.

    Attributes:
        patches: What to change, in any number of fields at once.
        reason: Why, in one line, for the trace.
        expected_gain: What the teacher expects on train, in points of [0, 1]; it is told later what
            came of it.
    """

    patches: tuple[Patch, ...] = Field(min_length=1, max_length=MAX_PATCHES)
    reason: str = Field(default="", max_length=400)
    expected_gain: float | None = Field(default=None, ge=-1, le=1)


def prompt_chars(recipe: Recipe, evidence: Evidence) -> int:
    """Return how many characters one note's prompts have beside the note itself."""
    blank = Example(id="", group="", text="")
    made = calls(recipe, evidence.fields, blank)
    return sum(len(message.content) for call in made for message in call.messages)


def added_tokens(old: Recipe, new: Recipe, evidence: Evidence) -> int:
    """Return the estimated change of prompt tokens per note, over all its calls."""
    return round((prompt_chars(new, evidence) - prompt_chars(old, evidence)) / CHARS_PER_TOKEN)


class _Edit:
    """Applies the patches of one move, one after the other."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.guard = CopyGuard(evidence.examples)
        self.notes = {e.id: e for e in evidence.examples}
        self.draft = Draft(evidence.recipe, tuple(f.name for f in evidence.fields))
        self.done: list[str] = []
        self.idle: list[str] = []

    def note(self, changed: bool, what: str) -> None:
        """Remember what a patch did, or that it did nothing."""
        (self.done if changed else self.idle).append(what)

    def apply(self, patch: Patch) -> None:
        """Apply one patch.

        Raises:
            InputError: If it cannot be applied; the message says why and what would do.
        """
        match patch:
            case AddLookFor() | DropLookFor():
                self.phrases(patch)
            case AddRule() | EditRule() | DropRule():
                self.rule(patch)
            case SetMeaning():
                self.guard.check_text(patch.text, f"the meaning of {patch.field!r}")
                changed = self.draft.guide(patch.field).set_meaning(patch.text)
                self.note(changed, f"{patch.field}: meaning set")
            case SetInstruction():
                self.guard.check_text(patch.text, "the instruction")
                self.note(self.draft.set_instruction(patch.text), "instruction set")
            case AddShot():
                self.note(self.draft.add_shot(self.shot(patch)), f"{patch.field}: worked example added")
            case DropShot():
                self.note(self.draft.drop_shot(patch.number), f"worked example {patch.number} dropped")

    def phrases(self, patch: AddLookFor | DropLookFor) -> None:
        """Add or drop phrases to look for."""
        guide = self.draft.guide(patch.field)
        for phrase in patch.phrases:
            if isinstance(patch, DropLookFor):
                self.note(guide.drop_phrase(phrase), f"{patch.field}: no longer looks for {phrase!r}")
                continue
            self.guard.check_phrase(phrase, f"a phrase for {patch.field!r}")
            self.note(guide.add_phrase(phrase), f"{patch.field}: looks for {phrase!r}")

    def rule(self, patch: AddRule | EditRule | DropRule) -> None:
        """Add, edit or drop a numbered rule."""
        guide = self.draft.guide(patch.field, general=True)
        where = patch.field or "general"
        if isinstance(patch, DropRule):
            self.note(guide.drop_rule(patch.number), f"{where}: rule {patch.number} dropped")
            return
        self.guard.check_text(patch.text, f"the rule for {where!r}")
        if isinstance(patch, EditRule):
            self.note(
                guide.edit_rule(patch.number, patch.text), f"{where}: rule {patch.number} changed"
            )
        else:
            self.note(guide.add_rule(patch.text), f"{where}: rule added")

    def shot(self, patch: AddShot) -> Shot:
        """Make the worked example that a patch asks for, its answer from the note's gold."""
        self.draft.guide(patch.field)
        example = self.notes.get(patch.example_id)
        if example is None:
            raise InputError(
                f"no shown train note {patch.example_id!r}", "take an id from the brief or a look"
            )
        if example.gold is None or patch.field not in example.gold:
            raise InputError(
                f"note {patch.example_id!r} has no gold value for {patch.field!r}", "take another"
            )
        reason = one_line(patch.reason, 120, "the reason")
        self.guard.check_text(reason, "the reason of a worked example")
        return Shot(
            example_id=example.id,
            group=example.group,
            text=find_sentence(example.text, patch.sentence),
            answer={patch.field: example.gold[patch.field]},
            reason=reason,
        )


class EditPrompt:
    """Edit the instruction, rules, meanings, phrases to look for and worked examples."""

    name = "edit_prompt"
    description = (
        "Change what the student is told; schema and labels stay. One move may hold many patches over "
        "many fields. Rule numbers are those of the current guideline (before this move). Phrases to "
        "look for have 1-5 words and must be shared by at least two patients or be general words. "
        "Texts must not copy a note (fewer than 6 words and 30 characters in a row); a worked example "
        "is a sentence of a train note, named by number or exact words, and gets that note's gold."
    )
    changing = True
    args = EditPromptArgs

    def run(self, args: EditPromptArgs, evidence: Evidence) -> ToolResult:
        """Return the recipe with the patches applied; no recipe if they change nothing.

        Raises:
            InputError: If a patch cannot be applied; nothing of the move is kept then.
        """
        edit = _Edit(evidence)
        for i, patch in enumerate(args.patches, 1):
            try:
                edit.apply(patch)
            except InputError as error:
                message = f"patch {i} ({patch.kind}): {error.message}; nothing was changed"
                raise InputError(message, error.hint) from error
        recipe = edit.draft.done()
        idle = f" Without effect: {'; '.join(edit.idle)}." if edit.idle else ""
        if recipe == evidence.recipe:
            return ToolResult(f"Nothing changed: everything is there already.{idle}")
        tokens = added_tokens(evidence.recipe, recipe, evidence)
        text = f"Changed: {'; '.join(edit.done)}.{idle} About {tokens:+d} prompt tokens per note."
        return ToolResult(text, recipe=recipe, added_tokens=tokens)
