"""The one renderer: a recipe and a note become messages.

Owns the text that a student sees, in evaluation, in training and in serving. Leaves the model's own
chat template to the backend. What calls share stands first, so that a backend reads it once: the note
where each field is asked in a call of its own, the fields where one call asks all. Whatever comes from
a note or a hit is data: ``quote`` takes away what could be read as a tag or a special token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec
from preceptor.core.records import RENDER_VERSION, Call, Example, Gold, Message, Prompt, Recipe, Shot
from preceptor.core.spelling import nfc

SHARED_ASKS, CONSTANT_FIRST = 4, 5
"""Versions since which calls for all fields say shared labels once, and begin with what is constant."""

Hits = Mapping[str, Sequence[Shot]]
"""Retrieved worked examples per field name; ``""`` holds those for all fields."""

_TAG = re.compile(
    # Full-width and small signs too: many tokenizers read them as their plain twins.
    r"[<＜﹤](?=[|｜¦]|(?:/\s*)?(?:[A-Za-z_][\w.:-]*(?:\s*|(?:\s[^<>\n]{0,200})?[=/][^<>\n]{0,200})[>＞﹥]"
    r"|(?i:note)\b))"
    r"|[\[［](?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS"
    r"|CALL_ID|THINK|PREFIX|MIDDLE|SUFFIX|IMG|AUDIO|BEGIN_AUDIO)[\]］])"
)
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
# Joiners between letters of scripts that need them stay.
_UNSEEN = re.compile(
    r"[\u00ad\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]"
    r"|(?<![\u0600-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\U0010ffff])"
)


def quote(text: str) -> str:
    """Return foreign text as data: no tag, no special token, no control character is left in it.

    Nor is anything that no one sees but a tokenizer (zero-width signs, Unicode's tag characters), or
    that is no text (half of a surrogate pair).
    """
    plain = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _TAG.sub(lambda m: m.group() + " ", _CONTROL.sub(" ", plain)).strip()


_NO_TERMINAL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
    r"\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """Return text for a terminal: what would move the cursor or hide is written as JSON escapes it."""
    return _NO_TERMINAL.sub(lambda m: json.dumps(m.group())[1:-1], text)


def answer_text(values: Gold, fields: Sequence[FieldSpec]) -> str:
    """Return the text of a right answer, as a student should write it."""
    said = {f.name: _composed(values[f.name]) for f in fields}
    return json.dumps(said, ensure_ascii=False)


def _composed(value: JsonValue) -> JsonValue:
    """Return a list's items as a note has them: what a student is taught to copy must stand there."""
    return [nfc(i) if isinstance(i, str) else i for i in value] if isinstance(value, list) else value


def numbered(rules: Sequence[str]) -> str:
    """Return rules as a numbered block that opens with ``Rules:``."""
    return "\n".join(["Rules:", *(f"{i}. {rule}" for i, rule in enumerate(rules, 1))])


def field_block(prompt: Prompt, field: FieldSpec) -> str:
    """Return the lines that ask for one field."""
    return f"{_about(prompt, field)}\n{field.ask()}"


def field_blocks(prompt: Prompt, fields: Sequence[FieldSpec], version: int = RENDER_VERSION) -> str:
    """Return the lines that ask for several fields in one call.

    Of fields in a row that are answered in the same way, that way is said once: a dozen symptoms with
    the same labels take half the tokens.
    """
    if version < SHARED_ASKS:
        return "\n\n".join(field_block(prompt, field) for field in fields)
    blocks = []
    for ask, run in groupby(fields, key=lambda field: field.ask()):
        each = list(run)
        every = "Each of these: " if len(each) > 1 else ""
        blocks.append("\n".join([*(_about(prompt, field) for field in each), every + ask]))
    return "\n\n".join(blocks)


def _about(prompt: Prompt, field: FieldSpec) -> str:
    guide = prompt.guide(field.name)
    # In quotes, a name has the same tokens here as in the answer.
    lines = [f"Field: {json.dumps(field.name, ensure_ascii=False)}"]
    if guide.meaning:
        lines.append(f"Meaning: {guide.meaning}")
    if guide.look_for:
        lines.append("Look for: " + "; ".join(guide.look_for))
    if guide.rules:
        lines.append(numbered(guide.rules))
    return "\n".join(lines)


def _bare(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(_composed(value), ensure_ascii=False)


def shot_line(shot: Shot, fields: Sequence[FieldSpec]) -> str:
    """Return one worked example: ``sentence => label``, or ``text => JSON`` for several fields."""
    asked = [f for f in fields if f.name in shot.answer]
    single = len(fields) == 1
    answer = quote(_bare(shot.answer[asked[0].name]) if single else answer_text(shot.answer, asked))
    reason = f" ({' '.join(quote(shot.reason).split())})" if shot.reason else ""
    return f"{' '.join(quote(shot.text).split())} => {answer}{reason}"


def examples_block(recipe: Recipe, fields: Sequence[FieldSpec], hits: Hits) -> str:
    """Return the worked examples that bear on ``fields``, or an empty text."""
    found = [*recipe.shots, *hits.get("", ())]
    found += [shot for f in fields for shot in hits.get(f.name, ())]
    names = {f.name for f in fields}
    lines = dict.fromkeys(shot_line(s, fields) for s in found if names & set(s.answer))
    return "\n".join(["Examples:", *lines, "", ""]) if lines else ""


def system_text(prompt: Prompt) -> str:
    """Return the system message."""
    return prompt.instruction + (("\n" + numbered(prompt.rules)) if prompt.rules else "")


def messages(
    recipe: Recipe, fields: Sequence[FieldSpec], example: Example, hits: Hits | None = None
) -> tuple[Message, ...]:
    """Return the chat messages that ask ``fields`` about ``example``.

    Args:
        recipe: The student.
        fields: What is asked in this one call.
        example: The note; its gold answer is not looked at.
        hits: Retrieved worked examples.
    """
    blocks = field_blocks(recipe.prompt, fields, recipe.render_version)
    shown = examples_block(recipe, fields, hits or {})
    note = f"<note>\n{quote(example.text)}\n</note>"
    if recipe.mode == "joint" and recipe.render_version >= CONSTANT_FIRST:
        user = f"{blocks}\n{form(fields)}\n\n{shown}{note}"
    else:
        user = f"{shown}{note}\n{blocks}"
    return Message("system", system_text(recipe.prompt)), Message("user", user)


def form(fields: Sequence[FieldSpec]) -> str:
    """Return the line that shows how short an answer is: the first fields of it."""
    said = [f"{json.dumps(f.name, ensure_ascii=False)}: {f.blank()}" for f in fields[:2]]
    return "Answer in one line: {" + ", ".join([*said, *(["..."] if len(fields) > 2 else [])]) + "}"


def asked_together(recipe: Recipe, fields: Sequence[FieldSpec]) -> list[tuple[FieldSpec, ...]]:
    """Return the groups of fields that go into one call each."""
    return [tuple(fields)] if recipe.mode == "joint" else [(f,) for f in fields]


def calls(
    recipe: Recipe, fields: Sequence[FieldSpec], example: Example, hits: Hits | None = None
) -> list[Call]:
    """Return the calls that get one Answer about ``example``."""
    source = quote(example.text)
    return [
        Call(example.id, group, messages(recipe, group, example, hits), recipe.decoding, source)
        for group in asked_together(recipe, fields)
    ]
