"""Where the sentences of a note are, and what its words are.

Owns one rule-based splitter for what reads notes: findings, the teacher's phrase mining, worked
examples. It knows abbreviations, list items and hard-wrapped lines; it needs no model, and finds the
same spans on every machine. Leaves the meaning of a sentence to its callers.
"""

from __future__ import annotations

import re

from preceptor.core.composing import normal

Span = tuple[int, int]
"""Start and end of a piece of text, in characters, end excluded."""

_NEVER_LAST = frozenset(
    "dr drs mr mrs ms prof vs e.g i.e z.b u.a d.h cf ca approx incl bzw ggf inkl evtl".split()
)
_SELDOM_LAST = frozenset(
    """
    st jr sr etc resp dept tel fig vol ed al pt pts hx dx tx rx sx fx wt ht temp abd neuro
    p.o b.i.d t.i.d q.i.d q.d q.h p.r.n i.v i.m s.c a.m p.m q.o.d b.d t.d.s o.d pat sog appt hosp exam
    """.split()
)
_BEFORE_NUMBER = frozenset({"no", "nr", "nos", "fig", "gr", "grade"})
# A run of stops is read once, from its first: a line of dots would else be read from each of them.
_END = re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)|[。！？]+")
_LAST_WORD = re.compile(r"[^\W_](?:[\w.]*\w)?$")
_BULLET = re.compile(r"[ \t]*(?:[-*•+>#]|\d{1,2}[.)]|[a-z][.)])[ \t]")
_LINE = re.compile(r"[^\n\r]+")


def _is_end(text: str, match: re.Match[str], stop: int) -> bool:
    """Tell whether the punctuation at ``match`` closes a sentence that ends before ``stop``."""
    mark = match.group()
    if mark[0] != "." or match.end() >= stop:
        return True
    after = text[match.end() : min(stop, match.end() + 64)].lstrip()
    if not after:
        return True
    if mark.startswith(".."):
        return not after[0].islower()
    word = _LAST_WORD.search(text, max(0, match.start() - 24), match.start())
    if word is None:
        return True
    last = word.group().casefold()
    if last in _NEVER_LAST or (last in _SELDOM_LAST and not after[0].isupper()):
        return False
    if last in _BEFORE_NUMBER and after[0].isdigit():
        return False
    starts_line = not text[max(0, word.start() - 64) : word.start()].rpartition("\n")[2].strip()
    initial = len(last) == 1 and not last.isdigit() and word.group().isupper()
    return not (initial or (starts_line and last.isdigit()))


def _blocks(text: str) -> list[Span]:
    """Return the lines of ``text``, with hard-wrapped ones joined."""
    blocks: list[Span] = []
    last = ""
    for line in _LINE.finditer(text):
        bare = line.group().strip()
        if not bare:
            continue
        closed, last = last in ".!?:;。！？", bare[-1]
        if blocks:
            start, end = blocks[-1]
            gap = text[end : line.start()].count("\n")
            soft = bare[0].islower() and not _BULLET.match(line.group())
            if gap == 1 and soft and not closed:
                blocks[-1] = (start, line.end())
                continue
        blocks.append(line.span())
    return blocks


def split_sentences(text: str) -> list[Span]:
    """Return the (start, end) of each sentence of ``text``, in order, outer spaces left out.

    A line break ends a sentence, unless the next line goes on with a small letter; so do a full stop,
    a question mark and an exclamation mark before a space, unless the word before the stop is an
    abbreviation (some may end a sentence before a capital), an initial, or the number of a list item.
    Spans never overlap, and hold every character that is no space.
    """
    spans: list[Span] = []
    for start, stop in _blocks(text):
        at = start
        for match in _END.finditer(text, start, stop):
            if _is_end(text, match, stop):
                spans.append((at, match.end()))
                at = match.end()
        spans.append((at, stop))
    return [trimmed for a, b in spans if (trimmed := _trim(text, a, b))[0] < trimmed[1]]


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text`` as texts, inner line breaks kept."""
    return [text[start:end] for start, end in split_sentences(text)]


_WORD = re.compile(r"[^\W_]+(?:[/'’.\-][^\W_]+)*")
_PAUSE = re.compile(r"[,;:()\[\]\"“”!?—–]|\.(?=\s|$)|\s-\s|\s\+\s|\n")


def words(text: str) -> tuple[str, ...]:
    """Return the words of ``text``: case folded, without punctuation; ``h/o`` is one word."""
    folded = normal("NFKC", text).casefold().replace("’", "'")
    return tuple(_WORD.findall(folded))


def runs(sentence: str) -> tuple[tuple[str, ...], ...]:
    """Return the words of ``sentence`` between its punctuation marks: a phrase never crosses one."""
    found = (words(part) for part in _PAUSE.split(sentence))
    return tuple(run for run in found if run)


def flat(text: str) -> str:
    """Return the words of a text with one space around each, to look for whole phrases in."""
    return f" {' '.join(words(text))} "
