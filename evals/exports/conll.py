"""Reads CoNLL files: one token per line, its tag in the last column, blank lines between sentences.

Owns the schemes (BIO, IO, BIOES and BILOU; ``I-`` without ``B-`` begins an entity, as usual), and what
a note is: a document where ``-DOCSTART-`` parts several, a sentence otherwise. Texts are put together
with a space between tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from preceptor.core.errors import TaskError
from preceptor.evals.exports.record import Answer, Export, Span
from preceptor.evals.splits import PARTS

TOOL = "CoNLL"
ENDINGS = (
    ".conll",
    ".conll02",
    ".conll03",
    ".conll2002",
    ".conll2003",
    ".bio",
    ".iob",
    ".iob2",
    ".ner",
)
_TAG = re.compile(r"O|[BIESLU]-\S.*")
_META = re.compile(r"#\s*([\w .-]+?)\s*[=:]\s*(.+)")
_DOCUMENT = "-DOCSTART-"
_PARTS: dict[str, str] = {"devel": "dev", "valid": "dev", "validation": "dev"} | {p: p for p in PARTS}


@dataclass(slots=True)
class _Sentence:
    """Tokens and tags, and the line where they begin."""

    line: int
    document: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)


def is_export(head: str) -> bool:
    """Return whether the beginning of a file is of this format."""
    lines = [line for line in head.split("\n")[:400] if not line.startswith("#")][:-1]
    filled = [line.split() for line in lines if line.strip()]
    if not filled:
        return False
    if filled[0][0] == _DOCUMENT:
        return True
    tagged = sum(2 <= len(cells) <= 9 and bool(_TAG.fullmatch(cells[-1])) for cells in filled)
    blank = any(not line.strip() for line in lines)
    entity = any(cells[-1][1:2] == "-" and _TAG.fullmatch(cells[-1]) for cells in filled)
    return tagged >= 0.9 * len(filled) and (blank or entity) and len(filled) > 2


def read(files: Iterable[Path]) -> Export:
    """Return the answers of one file, or of several.

    Raises:
        TaskError: With file and line, for a line that is broken.
    """
    answers: list[Answer] = []
    whole = False
    several = len(files := list(files)) > 1
    for file in files:
        sentences = list(_sentences(file))
        documents = {s.document for s in sentences}
        whole = whole or len(documents) > 1
        stem = file.stem
        part = _PARTS.get(stem.casefold())
        meta = ({"split": part} if part else {"file": stem}) if several else {}
        units = (
            [[s for s in sentences if s.document == d] for d in sorted(documents)]
            if len(documents) > 1
            else [[s] for s in sentences]
        )
        for number, unit in enumerate(units, 1):
            name = f"{stem}-{number}" if several else f"{number}"
            answers.append(_answer(file, unit, name, meta))
    remark = "notes are documents, their texts put together with a space between tokens"
    if not whole:
        remark = (
            "notes are sentences, their tokens joined by spaces; neighbours may be of one document: "
            f"part documents by {_DOCUMENT} if you can"
        )
    return Export(TOOL, tuple(answers), (remark,))


def _sentences(path: Path) -> Iterator[_Sentence]:
    """Yield the sentences of a file."""
    width = document = 0
    now: _Sentence | None = None
    meta: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        cells = line.split("\t") if "\t" in line else line.split()
        if not cells or not line.strip():
            if now:
                yield now
            now = None
            continue
        if cells[0] == _DOCUMENT:
            document += 1
            meta = {"doc_id": name} if (name := _document(cells)) else {}
            continue
        if now is None and (said := _META.fullmatch(line)) and not _TAG.fullmatch(cells[-1]):
            meta[said[1].strip()] = said[2].strip()
            continue
        width = width or len(cells)
        where = f"{path}, line {number}"
        if len(cells) != width or width < 2:
            raise TaskError(
                f"{where}: {len(cells)} columns, the first token has {width}",
                "a token, then its tag in the last column; blank lines between sentences",
            )
        if not _TAG.fullmatch(cells[-1].strip()):
            raise TaskError(
                f"{where}: the last column is no tag", "tags are O, B-TYPE, I-TYPE (or E-, S-, L-, U-)"
            )
        now = now or _Sentence(number, document, meta=dict(meta))
        now.tokens.append(cells[0].strip())
        now.tags.append(cells[-1].strip())
    if now:
        yield now


def _document(cells: list[str]) -> str:
    """Return the name of a document: what stands in brackets behind its mark."""
    said = re.search(r"\(([^()]+)\)", " ".join(cells))
    return said[1] if said else ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as cause:
        raise TaskError(f"{path}: not UTF-8 at byte {cause.start}", "save it as UTF-8") from cause
    except OSError as cause:
        raise TaskError(f"{path}: cannot be read: {cause.strerror}") from cause


def _answer(path: Path, unit: list[_Sentence], name: str, meta: dict[str, str]) -> Answer:
    text = ""
    spans: list[Span] = []
    for sentence in unit:
        text += "\n" if text else ""
        starts = []
        for i, token in enumerate(sentence.tokens):
            text += " " if i else ""
            starts.append(len(text))
            text += token
        for kind, first, last in entities(sentence.tags):
            at = (starts[first], starts[last] + len(sentence.tokens[last]))
            spans.append(Span(kind, (at,), text[at[0] : at[1]]))
    where = f"{path}, line {unit[0].line}"
    said = unit[0].meta | meta
    return Answer(where, text, where, id=name, spans=tuple(spans), meta=said)


def entities(tags: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield (type, first token, last token) of each entity that tags mark."""
    start, kind = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        mark, _, name = tag.partition("-")
        if kind and (mark in "BSUO" or name != kind):
            yield kind, start, i - 1
            kind = ""
        if mark != "O" and not kind:
            start, kind = i, name
        if kind and mark in "ESLU":
            yield kind, start, i
            kind = ""
