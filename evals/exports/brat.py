"""Reads brat's standoff format: a folder of ``NOTE.txt`` with ``NOTE.ann`` beside it.

Owns text-bound annotations (``T``), those in several pieces included. Events, relations, attributes,
normalisations and notes of annotators are counted and left out. The same notes in several folders are
several annotators' work; folders called train, dev and test are the split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from preceptor.core.errors import TaskError
from preceptor.evals.exports.record import Answer, Export, Span, covered
from preceptor.evals.splits import PARTS

TOOL = "brat"
_BOUND = re.compile(r"(T\S*)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t?(.*)")
_LEFT = {"E": "events", "R": "relations", "A": "attributes", "M": "attributes", "N": "normalisations"}


def is_export(folder: Path) -> bool:
    """Return whether a folder holds annotations of brat."""
    return next(folder.rglob("*.ann"), None) is not None


def read(folder: Path) -> Export:
    """Return the answers of a folder.

    Raises:
        TaskError: If a file has no partner, a line is broken, or offsets do not fit the text.
    """
    files = sorted(folder.rglob("*.ann"))
    stems = Counter(path.stem for path in files)
    shared = {stem for stem, n in stems.items() if n > 1}
    several = len({path.parent for path in files}) > 1
    left: Counter[str] = Counter()
    answers = []
    for path in files:
        text = _text(path.with_suffix(".txt"), path)
        spans = tuple(_spans(path, text, left))
        home = path.parent.relative_to(folder).as_posix()
        annotator = home if path.stem in shared else ""
        meta = _meta(home) if several and not shared else {}
        answers.append(Answer(path.stem, text, str(path), path.stem, annotator, spans=spans, meta=meta))
    bare = sum(not path.with_suffix(".ann").exists() for path in folder.rglob("*.txt"))
    remarks = [f"{bare} texts have no .ann and are left out"] if bare else []
    if left:
        shown = ", ".join(f"{name} ({n})" for name, n in left.most_common())
        remarks.append(f"left out, as no field is like it: {shown}")
    return Export(TOOL, tuple(answers), tuple(remarks))


def _meta(home: str) -> Mapping[str, str]:
    if home == ".":
        return {}
    part = {"devel": "dev", "valid": "dev", "validation": "dev"}.get(home, home)
    return {"split": part} if part in PARTS else {"folder": home}


def _text(path: Path, beside: Path) -> str:
    if not path.exists():
        raise TaskError(f"{beside}: no {path.name} beside it", "export texts and annotations together")
    return _decoded(path)


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as cause:
        raise TaskError(f"{path}: not UTF-8 at byte {cause.start}", "save it as UTF-8") from cause
    except OSError as cause:
        raise TaskError(f"{path}: cannot be read: {cause.strerror}") from cause


def _spans(path: Path, text: str, left: Counter[str]) -> Iterator[Span]:
    for number, line in enumerate(_decoded(path).split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line[0] in "#*":
            continue
        if line[0] in _LEFT:
            left[_LEFT[line[0]]] += 1
            continue
        where = f"{path}, line {number}"
        match = _BOUND.fullmatch(line)
        if match is None:
            raise TaskError(f"{where}: not an annotation of brat", "e.g. T1<tab>Drug 0 7<tab>aspirin")
        pieces = [(int(a), int(b)) for a, b in (p.split(" ") for p in match[3].split(";"))]
        yield covered(where, text, match[2], pieces, match[4])
