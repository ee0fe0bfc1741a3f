"""Reads Prodigy's JSON lines (``prodigy db-out``): choices, spans and binary decisions.

Owns ``answer`` (only what was accepted is gold), the names of annotators and sessions, and metadata.
A file of decisions about one label is a field of that name with the labels ``yes`` and ``no``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.evals.exports.record import Answer, Export, Span, as_text, covered, plain

TOOL = "Prodigy"
_OWN = frozenset(
    "text html tokens spans options accept label answer meta config style priority score "
    "relations image user_input field_id field_label field_rows field_autofocus choice_style "
    "versions input_hash task_hash".split()
)
Row = Mapping[str, JsonValue]


def is_export(rows: Sequence[JsonValue]) -> bool:
    """Return whether these are rows of Prodigy."""
    found = [row for row in rows if isinstance(row, dict)]
    if not found:
        return False
    hashed = "_input_hash" in found[0] or "_task_hash" in found[0]
    answered = all(row.get("answer") in ("accept", "reject", "ignore") for row in found)
    return hashed or (answered and any("spans" in r or "accept" in r or "label" in r for r in found))


def read(path: Path, rows: Sequence[tuple[str, Row]]) -> Export:
    """Return the answers of an export.

    Raises:
        TaskError: If a row has no text, or offsets do not fit it.
    """
    binary = [row for _, row in rows if _is_binary(row)]
    asked = {as_text(row.get("label")) for row in binary}
    alone = next(iter(asked)) if len(asked) == 1 and _is_decided(binary) else ""
    marks = any(row.get("spans") for _, row in rows)
    together: dict[tuple[str, str], list[tuple[str, Row]]] = {}
    for where, row in rows:
        if not isinstance(row.get("text"), str) or not str(row["text"]).strip():
            raise TaskError(f"{where}: no text", "export notes that are plain text")
        key = as_text(row.get("_input_hash")) or str(row["text"])
        together.setdefault((key, _person(row)), []).append((where, row))
    answers = [_answer(note, who, found, alone, marks) for (note, who), found in together.items()]
    wide = frozenset({"label"} if any(_is_wide(row) for _, row in rows) else set[str]())
    return Export(TOOL, tuple(answers), tuple(_remarks(rows, alone)), wide)


def _person(row: Row) -> str:
    return as_text(row.get("_annotator_id")) or as_text(row.get("_session_id"))


def _is_binary(row: Row) -> bool:
    return bool(as_text(row.get("label"))) and not row.get("spans") and "accept" not in row


def _is_decided(rows: Sequence[Row]) -> bool:
    """Return whether one label was sometimes accepted and sometimes rejected."""
    return {"accept", "reject"} <= {as_text(row.get("answer")) for row in rows}


def _is_wide(row: Row) -> bool:
    config = row.get("config")
    style = config.get("choice_style") if isinstance(config, dict) else row.get("choice_style")
    return style == "multiple"


def _is_accepted(row: Row) -> bool:
    return row.get("answer", "accept") == "accept"


def _answer(note: str, who: str, rows: list[tuple[str, Row]], alone: str, marks: bool) -> Answer:
    """Return what one person said about one note, in one row or several; the last word counts."""
    where, last = rows[-1]
    text = str(last["text"])
    decided: dict[str, bool] = {}
    choices: dict[str, tuple[str, ...]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    spans: tuple[Span, ...] | None = None
    for _, row in rows:
        if _is_binary(row):
            if row.get("answer") != "ignore":
                decided[as_text(row.get("label"))] = _is_accepted(row)
            continue
        if "accept" in row:
            choices["label"] = _accepted(row) if _is_accepted(row) else ()
        if "spans" in row or (marks and "accept" not in row):
            spans = tuple(_spans(where, text, row)) if _is_accepted(row) else None
        if written := as_text(row.get("user_input")):
            texts["user_input"] = (written,)
    if alone and alone in decided:
        choices[alone] = ("yes" if decided[alone] else "no",)
    elif taken := tuple(label for label, yes in decided.items() if yes):
        choices["label"] = taken
    done = any(_is_accepted(row) for _, row in rows) or bool(alone and decided)
    extra = {k: v for k, v in last.items() if k not in _OWN and not k.startswith("_")}
    meta = last.get("meta")
    return Answer(
        note,
        text,
        where,
        annotator=who,
        done=done,
        choices=choices,
        texts=texts,
        spans=spans if marks else None,
        meta=plain(extra) | plain(meta if isinstance(meta, dict) else {}),
    )


def _accepted(row: Row) -> tuple[str, ...]:
    """Return the options that were accepted: their ids, or their texts where ids are numbers."""
    options = row.get("options")
    shown: dict[str, str] = {}
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict):
            name, text = option.get("id"), as_text(option.get("text"))
            shown[as_text(name)] = text if isinstance(name, int) and text else as_text(name)
    chosen = row.get("accept")
    found = [as_text(c) for c in chosen] if isinstance(chosen, list) else [as_text(chosen)]
    return tuple(dict.fromkeys(shown.get(c, c) for c in found if c))


def _spans(where: str, text: str, row: Row) -> Iterator[Span]:
    found = row.get("spans")
    for span in found if isinstance(found, list) else []:
        if not isinstance(span, dict):
            continue
        start, end, kind = span.get("start"), span.get("end"), as_text(span.get("label"))
        if not isinstance(start, int) or not isinstance(end, int):
            raise TaskError(f"{where}: a span without offsets", "export it once more")
        yield covered(where, text, kind or "span", [(start, end)], as_text(span.get("text")))


def _remarks(rows: Sequence[tuple[str, Row]], alone: str) -> Iterator[str]:
    counts = Counter(as_text(row.get("answer")) for _, row in rows)
    refused = {word: counts[word] for word in ("reject", "ignore") if counts[word]}
    if alone:
        refused.pop("reject", None)
        yield f"accepted and rejected decisions about {alone!r} are its labels yes and no"
    if refused:
        shown = " and ".join(f"{n} {word}" for word, n in refused.items())
        yield f"answers that are no gold: {shown}"
    related = sum(bool(row.get("relations")) for _, row in rows)
    if related:
        yield f"relations of {related} rows are left out"
