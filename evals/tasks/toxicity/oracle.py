"""The oracle reader: how well can these notes be read by someone who knows how they were written?

Owns a reader that knows the lexicon, the typing errors and the frames, and sees nothing but the text.
It finds surface forms, takes each sentence's skeleton, looks up which frame it is, and lets the last
statement about the patient now settle the label. Where it is right, the label follows from the text:
what is left to other readers is difficulty, not label noise.
"""

from __future__ import annotations

import re
from functools import cache

from preceptor.evals.tasks.toxicity import frames
from preceptor.evals.tasks.toxicity.lexicon import MISSPELT, SYMPTOMS, SYSTEMS

_TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-z_]+(?:['-][a-z]+)*|[^\s\w]")
_MONTH = re.compile(r"jan|feb|march|april|june|july|aug|sept|oct|nov|dec")
_LINK = {",", "and", "or", "/"}
_SUBJECT = {"pt", "he", "patient"}
_LONGEST = 9
"""The longest surface form or plan, in tokens."""

_Skeleton = tuple[str, ...]


def _tokens(text: str) -> list[str]:
    out = []
    for token in _TOKEN.findall(text.lower()):
        if token[0].isdigit():
            token = "#"
        elif token in _SUBJECT:
            token = "pt"
        elif token in frames.RELATIVES:
            token = "rel"
        elif _MONTH.fullmatch(token):
            token = "month"
        out.append(token)
    return out


def _spellings(form: str) -> list[str]:
    """Return a form with each of its words misspelt in each known way, and as it should be."""
    words = form.split()
    wrong = [
        " ".join([*words[:i], typo, *words[i + 1 :]])
        for i, word in enumerate(words)
        for typo in MISSPELT.get(word, ())
    ]
    return [form, *wrong]


@cache
def _forms() -> dict[_Skeleton, str]:
    """Return the field (or ``care``) that each sequence of tokens names."""
    found = {}
    for symptom in SYMPTOMS:
        for form in symptom.forms:
            for spelling in _spellings(form):
                found[tuple(_tokens(spelling))] = symptom.name
        for plan in symptom.care:
            found[tuple(_tokens(plan))] = "care"
    return found


@cache
def _clauses() -> dict[_Skeleton, tuple[str, str]]:
    """Return (field, slot) of each sentence that says something without a frame."""
    pairs = (
        ((s, "A", c) for s in SYMPTOMS for c in s.says),
        ((s, "N", c) for s in SYMPTOMS for c in s.negs),
    )
    return {
        tuple(_tokens(re.sub(r"\{[km]\}", "2", clause))): (symptom.name, slot)
        for side in pairs
        for symptom, slot, clause in side
    }


@cache
def _skeletons() -> dict[_Skeleton, tuple[str, ...]]:
    """Return the slots, in order, of each frame's skeleton."""
    stand_in = {"S": "pt", "mo": "may_", "k": "2", "m": "2", "y": "2", "rel": "wife", "care": "care_"}
    found: dict[_Skeleton, tuple[str, ...]] = {}
    for kind, lines in frames.FRAMES.items():
        for line in [] if kind == "fillers" else lines:
            slots = [s for s in re.findall(r"\{(\w+)\}", line) if frames.is_slot(s)]
            text = re.sub(
                r"\{(\w+)\}", lambda m: "slot_" if frames.is_slot(m[1]) else stand_in[m[1]], line
            )
            marks = {"slot_": "§", "may_": "month", "care_": "care"}
            skeleton = tuple(marks.get(token, token) for token in _tokens(text))
            found.setdefault(skeleton, tuple(s.upper() for s in slots))
    return found


def _reduce(tokens: list[str]) -> tuple[_Skeleton, list[list[str]]]:
    """Return a sentence's skeleton (``§`` for a list of symptoms) and the symptoms of each list."""
    skeleton: list[str] = []
    lists: list[list[str]] = []
    i, forms = 0, _forms()
    while i < len(tokens):
        for n in range(min(_LONGEST, len(tokens) - i), 0, -1):
            name = forms.get(tuple(tokens[i : i + n]))
            if name:
                break
        else:
            skeleton.append(tokens[i])
            i += 1
            continue
        i += n
        if name == "care":
            skeleton.append("care")
        elif len(skeleton) > 1 and skeleton[-1] in _LINK and skeleton[-2] == "§":
            skeleton.pop()
            lists[-1].append(name)
        else:
            skeleton.append("§")
            lists.append([name])
    return tuple(skeleton), lists


def statements(text: str) -> list[tuple[str, str]]:
    """Return what a note says: (field, slot) in the order of the text."""
    heads = [*(f"{s}:" for s in SYSTEMS), *(f"{h}:" for hs in frames.HEADINGS for h in hs.values())]
    out: list[tuple[str, str]] = []
    for line in text.splitlines():
        for sentence in re.split(r"(?<=\.)\s+", line):
            while head := next((h for h in heads if sentence.startswith(h)), ""):
                sentence = sentence[len(head) :].lstrip()
            tokens = _tokens(sentence)
            clause = _clauses().get(tuple(tokens))
            if clause:
                out.append(clause)
                continue
            skeleton, lists = _reduce(tokens)
            for slot, names in zip(_skeletons().get(skeleton, ()), lists, strict=False):
                out += [(name, slot) for name in names]
    return out


def read(text: str) -> dict[str, str]:
    """Return the label of every symptom, from the text alone."""
    labels = {s.name: "unknown" for s in SYMPTOMS}
    for name, slot in statements(text):
        if slot in frames.NOW:
            labels[name] = frames.NOW[slot]
    return labels
