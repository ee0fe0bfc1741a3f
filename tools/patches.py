"""The typed patches that ``edit_prompt`` takes, and how one is laid on a draft of a prompt.

Owns what can be edited (instruction, general rules, a field's guide, fixed worked examples) and the
limits. No patch reaches the schema or the labels: a text that speaks of them is only text. Rule and
shot numbers are those of the recipe before the move, so that several drops in one move do not shift
each other.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from preceptor.core.errors import InputError
from preceptor.core.record import Record
from preceptor.core.records import Guide, Prompt, Recipe, Shot
from preceptor.core.render import quote
from preceptor.core.text import sentences, words

MAX_RULES = 12
MAX_PHRASES = 16
MAX_SHOTS = 8
MAX_RULE_CHARS = 240
MAX_MEANING_CHARS = 400
MAX_INSTRUCTION_CHARS = 1500
MAX_PHRASE_WORDS = 5
MAX_SHOT_CHARS = 400


class AddRule(Record):
    """Append a rule to a field's rules, or to the general ones (field: "")."""

    kind: Literal["add_rule"] = "add_rule"
    field: str = ""
    text: str


class EditRule(Record):
    """Replace the rule with this number."""

    kind: Literal["edit_rule"] = "edit_rule"
    field: str = ""
    number: int = Field(ge=1)
    text: str


class DropRule(Record):
    """Take out the rule with this number."""

    kind: Literal["drop_rule"] = "drop_rule"
    field: str = ""
    number: int = Field(ge=1)


class AddLookFor(Record):
    """Add phrases of one to five words that count as a mention of the field."""

    kind: Literal["add_look_for"] = "add_look_for"
    field: str
    phrases: tuple[str, ...] = Field(min_length=1)


class DropLookFor(Record):
    """Take out phrases."""

    kind: Literal["drop_look_for"] = "drop_look_for"
    field: str
    phrases: tuple[str, ...] = Field(min_length=1)


class SetMeaning(Record):
    """Set the field's definition; an empty text takes it out."""

    kind: Literal["set_meaning"] = "set_meaning"
    field: str
    text: str


class SetInstruction(Record):
    """Set the opening of the system message."""

    kind: Literal["set_instruction"] = "set_instruction"
    text: str


class AddShot(Record):
    """Add a worked example: one sentence of a train note with that note's right answer."""

    kind: Literal["add_shot"] = "add_shot"
    field: str
    example_id: str
    sentence: int | str
    reason: str = ""


class DropShot(Record):
    """Take out the worked example with this number."""

    kind: Literal["drop_shot"] = "drop_shot"
    number: int = Field(ge=1)


Patch = Annotated[
    AddRule
    | EditRule
    | DropRule
    | AddLookFor
    | DropLookFor
    | SetMeaning
    | SetInstruction
    | AddShot
    | DropShot,
    Field(discriminator="kind"),
]


def one_line(text: str, limit: int, what: str) -> str:
    """Return ``text`` on one line.

    Raises:
        InputError: If it is too long, or holds what could be read as a tag or a special token.
    """
    flat_text = " ".join(text.split())
    if len(flat_text) > limit:
        raise InputError(f"{what} has {len(flat_text)} characters", f"at most {limit}")
    if quote(flat_text) != flat_text:
        raise InputError(f"{what} holds a tag or a control character", "use plain words")
    return flat_text


def _numbered(items: list[str | None], number: int, what: str) -> int:
    if number > len(items):
        have = f"there are {len(items)}" if items else "there are none"
        raise InputError(f"no {what} with number {number}", f"{have}, counted from 1")
    return number - 1


def _folded(items: list[str | None]) -> set[str]:
    return {" ".join(words(item)) for item in items if item is not None}


class GuideDraft:
    """One field's guide (or the general rules) while it is being edited."""

    def __init__(self, name: str, guide: Guide) -> None:
        self.name = name
        self.meaning = guide.meaning
        self.look_for = list(guide.look_for)
        self.rules: list[str | None] = list(guide.rules)
        self.shown = len(guide.rules)

    @property
    def where(self) -> str:
        """Name it in a message."""
        return f"field {self.name!r}" if self.name else "the general rules"

    def add_rule(self, text: str) -> bool:
        """Append a rule; False if it is there already."""
        rule = one_line(text, MAX_RULE_CHARS, "the rule")
        if not rule:
            raise InputError(f"an empty rule for {self.where}", "give a text, or use drop_rule")
        if " ".join(words(rule)) in _folded(self.rules):
            return False
        if sum(r is not None for r in self.rules) >= MAX_RULES:
            raise InputError(f"{self.where}: more than {MAX_RULES} rules", "edit or drop one instead")
        self.rules.append(rule)
        return True

    def edit_rule(self, number: int, text: str) -> bool:
        """Replace a rule; False if nothing changes."""
        place = _numbered(self.rules[: self.shown], number, f"rule for {self.where}")
        rule = one_line(text, MAX_RULE_CHARS, "the rule")
        if not rule:
            raise InputError(f"an empty rule for {self.where}", "give a text, or use drop_rule")
        same = self.rules[place] == rule
        self.rules[place] = rule
        return not same

    def drop_rule(self, number: int) -> bool:
        """Take a rule out; False if this move has done so already."""
        place = _numbered(self.rules[: self.shown], number, f"rule for {self.where}")
        was, self.rules[place] = self.rules[place], None
        return was is not None

    def add_phrase(self, phrase: str) -> bool:
        """Add a phrase; False if it is there already."""
        text = one_line(phrase, 80, "the phrase").strip(" ,.:")
        size = len(words(text))
        if not 1 <= size <= MAX_PHRASE_WORDS or ";" in text:
            raise InputError(
                f"{self.where}: a phrase to look for has {size} words",
                f"one to {MAX_PHRASE_WORDS} words, without ';'",
            )
        if " ".join(words(text)) in _folded([*self.look_for]):
            return False
        if len(self.look_for) >= MAX_PHRASES:
            raise InputError(f"{self.where}: more than {MAX_PHRASES} phrases", "drop some first")
        self.look_for.append(text)
        return True

    def drop_phrase(self, phrase: str) -> bool:
        """Take a phrase out; False if it is not there."""
        wanted = words(phrase)
        kept = [p for p in self.look_for if words(p) != wanted]
        changed = len(kept) < len(self.look_for)
        self.look_for = kept
        return changed

    def set_meaning(self, text: str) -> bool:
        """Set the definition; False if nothing changes."""
        meaning = one_line(text, MAX_MEANING_CHARS, "the meaning")
        changed = meaning != self.meaning
        self.meaning = meaning
        return changed

    def done(self) -> Guide:
        """Return the edited guide."""
        kept = tuple(rule for rule in self.rules if rule is not None)
        return Guide(meaning=self.meaning, look_for=tuple(self.look_for), rules=kept)


class Draft:
    """A recipe's prompt and shots while they are being edited.

    Args:
        recipe: The working recipe; it is not changed.
        names: The task's fields, in order.
    """

    def __init__(self, recipe: Recipe, names: tuple[str, ...]) -> None:
        prompt = recipe.prompt
        self.recipe = recipe
        self.instruction = prompt.instruction
        self.guides = {name: GuideDraft(name, prompt.guide(name)) for name in names}
        self.guides[""] = GuideDraft("", Guide(rules=prompt.rules))
        self.shots: list[Shot | None] = list(recipe.shots)

    def guide(self, field: str, general: bool = False) -> GuideDraft:
        """Return the draft of one field's guide.

        Raises:
            InputError: If the task has no such field.
        """
        if field in self.guides and (field or general):
            return self.guides[field]
        known = ", ".join(name for name in self.guides if name)
        raise InputError(f"no field {field!r}", f"the fields are: {known}")

    def set_instruction(self, text: str) -> bool:
        """Set the opening; False if nothing changes."""
        new = one_line(text, MAX_INSTRUCTION_CHARS, "the instruction")
        if not new:
            raise InputError("an empty instruction", "say what is to be read and answered")
        changed = new != self.instruction
        self.instruction = new
        return changed

    def add_shot(self, shot: Shot) -> bool:
        """Append a worked example; False if it is there already."""
        kept = [s for s in self.shots if s is not None]
        if any(s.text == shot.text and s.answer == shot.answer for s in kept):
            return False
        (field,) = shot.answer
        if sum(field in s.answer for s in kept) >= MAX_SHOTS:
            raise InputError(
                f"field {field!r}: more than {MAX_SHOTS} worked examples", "drop one first"
            )
        self.shots.append(shot)
        return True

    def drop_shot(self, number: int) -> bool:
        """Take a worked example out; False if this move has done so already."""
        have = len(self.recipe.shots)
        if number > have:
            raise InputError(f"no worked example with number {number}", f"there are {have}")
        was, self.shots[number - 1] = self.shots[number - 1], None
        return was is not None

    def done(self) -> Recipe:
        """Return the edited recipe; equal to the old one if nothing changed."""
        old = self.recipe.prompt
        guides = dict(old.guides)
        for name, draft in self.guides.items():
            new = draft.done()
            if name and new != old.guide(name):
                guides[name] = new
        kept = {name: guide for name, guide in sorted(guides.items()) if guide != Guide()}
        if kept == {n: g for n, g in old.guides.items() if g != Guide()}:
            kept = dict(old.guides)
        prompt = Prompt(instruction=self.instruction, rules=self.guides[""].done().rules, guides=kept)
        shots = tuple(s for s in self.shots if s is not None)
        return self.recipe.model_copy(update={"prompt": prompt, "shots": shots})


def find_sentence(text: str, wanted: int | str) -> str:
    """Return the sentence of a note that a patch names by number (from 1) or by its words.

    Raises:
        InputError: If the note has no such sentence, or it is too long.
    """
    have = sentences(text)
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(have):
            raise InputError(f"no sentence {wanted}", f"the note has {len(have)}, counted from 1")
        found = have[wanted - 1]
    else:
        found = " ".join(wanted.split())
        if len(words(found)) < 2 or found not in " ".join(text.split()):
            raise InputError(
                "the sentence does not stand in that note", "copy it exactly, or give its number"
            )
    if len(found) > MAX_SHOT_CHARS:
        raise InputError(f"the sentence has {len(found)} characters", f"at most {MAX_SHOT_CHARS}")
    return " ".join(found.split())
