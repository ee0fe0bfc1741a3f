"""What the readers of annotation exports hand over: what each annotator said about each note."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import TaskError


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a note that was marked.

    Attributes:
        kind: The type of the entity.
        pieces: (start, end) in characters, end excluded; several if it is discontinuous.
        text: What it covers, the pieces joined by a space.
    """

    kind: str
    pieces: tuple[tuple[int, int], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one annotator said about one note.

    Attributes:
        note: What tells notes apart: answers with the same are about one note.
        text: The note.
        where: File and line, or the like, for errors.
        id: The note's id in the tool, if it has one.
        annotator: Who; empty if the export does not say.
        done: Whether this counts; False if it was skipped or rejected, or is not annotated at all.
        choices: What was chosen, by field.
        texts: What was written or is a list anyway, by field.
        spans: What was marked; None if nothing could be marked.
        meta: What else is known of the note.
    """

    note: str
    text: str
    where: str
    id: str = ""
    annotator: str = ""
    done: bool = True
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spans: tuple[Span, ...] | None = None
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Export:
    """All answers of an export.

    Attributes:
        tool: Which tool's.
        answers: In the order of the file.
        remarks: What the reader left out or changed, one line each.
        wide: The fields of which a note may have several choices, by the tool's own word.
    """

    tool: str
    answers: tuple[Answer, ...]
    remarks: tuple[str, ...] = ()
    wide: frozenset[str] = frozenset()


def covered(where: str, text: str, kind: str, pieces: list[tuple[int, int]], said: str = "") -> Span:
    """Return the span at some offsets of a note.

    Args:
        where: File and line, for the error.
        text: The note.
        kind: The type of the entity.
        pieces: (start, end) in characters, one or several.
        said: What the export says is covered, if it says; line breaks and spaces do not count.

    Raises:
        TaskError: If the offsets lie outside the note, or cover something else than was said.
    """
    for start, end in pieces:
        if not 0 <= start < end <= len(text):
            raise TaskError(
                f"{where}: offsets {start} to {end} do not lie in the text of {len(text)} characters",
                "export texts and annotations together once more",
            )
    found = " ".join(text[start:end].strip() for start, end in sorted(pieces))
    if said and "".join(said.split()) != "".join(found.split()):
        start, end = pieces[0]
        raise TaskError(
            f"{where}: offsets {start} to {end} cover another text than the annotation says",
            "the text was changed after it was annotated: export both together once more",
        )
    return Span(kind, tuple(sorted(pieces)), found)


def by_utf16(text: str, at: int) -> int:
    """Return the place in characters of an offset in UTF-16 units, as browsers count."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * at].decode("utf-16-le", "replace"))


def load_json(path: Path) -> JsonValue:
    """Return what a JSON file holds.

    Raises:
        TaskError: If it cannot be read, or is no JSON.
    """
    try:
        value: JsonValue = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as cause:
        raise TaskError(f"{path}: cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise TaskError(f"{path}: not UTF-8 at byte {cause.start}", "save it as UTF-8") from cause
    except json.JSONDecodeError as cause:
        raise TaskError(
            f"{path}, line {cause.lineno}: not JSON ({cause.msg})",
            "the file may have been cut off: export it once more",
        ) from cause
    except RecursionError as cause:
        raise TaskError(f"{path}: not JSON (nested too deep)", "export it once more") from cause
    return value


def as_text(value: JsonValue) -> str:
    """Return a short value as a text; nothing if it is none."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip()


def plain(values: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return what is a text or a number, as texts, nested objects flattened one level."""
    out: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            out |= {k: t for k, v in value.items() if (t := as_text(v))}
        elif text := as_text(value):
            out[name] = text
    return out
