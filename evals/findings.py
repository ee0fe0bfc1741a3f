"""What kinds of errors a student makes: typed groups, most frequent first.

Owns the diagnosis: which wrong answers belong together, and the cue that they share. It compares
answers with gold and reads the sentences around a field's mention; it needs no model. Leaves what to
do about a finding to the teacher.

How a wrong label gets its kind. The *mention* is the first sentence that holds the field's name or one
of the prompt's «Look for» phrases; in a note of one or two sentences it is the whole note.

    gold          said          kind
    not default   default       missed
    default       not default   experiencer, temporality or negation if the mention (or the heading
                                above it) carries such a cue, else spurious
    not default   another       negation if one of the two labels says «not there» or the mention is
                                negated, else wrong_value
    any           unreadable    truncated or format; ``failed`` is no error of the student

In a list, an item left out is missed and one too many spurious (or what its cue says); one that holds
another, or is held by it, is cut at the wrong ``boundary``. In a closed list each value has its own
findings, whose cue names the value (and, in brackets, the cue beside it); where one value was said in
place of another it is a wrong_value.

``label_suspect`` takes the place of these where gold, not the student, is likely wrong: at least three
notes of other patients have a mention of the very same words (numbers and order aside), three in four
of all such notes have the label that the student gave, and the student gave it there too.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Example, Finding, FindingKind, Prompt
from preceptor.core.text import flat, split_sentences, words

NEGATION = (
    "no evidence of", "no signs of", "no sign of", "no complaints of", "negative for", "free of",
    "ruled out", "rather than", "denies", "denied", "denying", "without", "absent", "none", "never",
    "neither", "nor", "not", "no", "unremarkable", "doesn't", "didn't", "isn't", "wasn't",
)  # fmt: skip
EXPERIENCER = (
    "family history", "fh", "fhx", "mother", "father", "sister", "brother", "wife", "husband", "spouse",
    "daughter", "son", "aunt", "uncle", "mother's", "father's", "wife's", "husband's", "sister's",
    "brother's", "grandmother", "grandfather", "roommate",
)  # fmt: skip
TEMPORALITY = (
    "past medical history", "medical history", "history of", "h/o", "hx of", "pmh", "pmhx",
    "in the past", "resolved",
    "years ago", "months ago", "previously", "previous", "prior", "formerly", "used to", "last year",
    "if", "should", "risk of", "at risk", "may develop", "may cause", "may occur", "could develop",
    "return for", "call for", "watch for", "counseled", "counselled", "educated", "discussed",
    "expected", "possible side effects", "side effects include", "will", "plan", "planned", "history",
)  # fmt: skip
_TURN = (" but ", " however ", " although ", " except ", " otherwise ", " yet ", " though ")
_AWAY = frozenset({"absent", "no", "none", "negative", "negated", "denied", "false", "0"})
_HEADING = re.compile(
    r"^[ \t]*([A-Z][A-Za-z /&]{1,40}):|^[ \t]*([A-Z][A-Z /&]{2,40})[ \t]*$", re.MULTILINE
)

SUSPECT_NOTES = 3
SUSPECT_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class _Error:
    """One wrong field of one note, or one wrong value (``about``) of a closed list."""

    kind: FindingKind
    field: str
    note: str
    cue: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class _Mention:
    """Where a note speaks of something: the sentence and its heading as flat words, and the phrase."""

    sentence: str
    heading: str
    phrase: str


@lru_cache(maxsize=8192)
def _sentences(text: str) -> tuple[tuple[int, str], ...]:
    """Return (start, flat words) of each sentence; every field asks for the same ones."""
    return tuple((start, flat(text[start:end])) for start, end in split_sentences(text))


def _heading(text: str, start: int) -> str:
    found = None
    for match in _HEADING.finditer(text, 0, start):
        found = match
    return flat(found.group(1) or found.group(2)) if found else " "


def _mention(text: str, phrases: Sequence[str]) -> _Mention | None:
    """Return the first sentence of ``text`` that holds one of ``phrases`` (flat)."""
    found = _sentences(text)
    for start, sentence in found:
        for phrase in phrases:
            if phrase in sentence:
                return _Mention(sentence, _heading(text, start), phrase)
    if 0 < len(found) <= 2:
        return _Mention(flat(text), " ", "")
    return None


def _negated(mention: _Mention) -> str:
    """Return the negation cue that the mention stands under, or an empty text.

    A cue counts before the phrase, up to a turn of the sentence, and right behind it («pain denied»).
    """
    before, _, after = (
        mention.sentence.partition(mention.phrase) if mention.phrase else (mention.sentence, "", "")
    )
    before += " "
    scope = before[max(0, *(before.rfind(turn) for turn in _TURN)) :]
    behind = " " + " ".join(after.split()[:3]) + " "
    for cue in NEGATION:
        after_too = f" {cue} " in behind and cue not in ("no", "not", "without")
        if f" {cue} " in scope or after_too:
            return cue
    return ""


def _spurious(mention: _Mention | None) -> tuple[FindingKind, str]:
    """Return what made the student see something that is not there, and the cue."""
    if mention is None:
        return "spurious", ""
    for cue in EXPERIENCER:
        if f" {cue} " in mention.sentence or f" {cue} " in mention.heading:
            return "experiencer", cue
    negated = _negated(mention)
    if negated:
        return "negation", negated
    for cue in TEMPORALITY:
        if f" {cue} " in mention.sentence or f" {cue} " in mention.heading:
            return "temporality", cue
    return "spurious", ""


def _phrases(field: FieldSpec, prompt: Prompt | None) -> list[str]:
    """Return what a mention of the field may look like, as flat words, longest first."""
    guide = prompt.guide(field.name) if prompt else None
    said = [field.name.replace("_", " "), *(guide.look_for if guide else ())]
    found = {flat(text) for text in said if words(text)}
    return sorted(found, key=lambda text: (-len(text), text))


class _LabelReader:
    """Types the wrong labels of one field."""

    def __init__(self, field: LabelField, prompt: Prompt | None) -> None:
        self._field = field
        self._phrases = _phrases(field, prompt)

    def mention(self, example: Example) -> _Mention | None:
        return _mention(example.text, self._phrases)

    def kind(self, mention: _Mention | None, gold: str, said: str) -> tuple[FindingKind, str]:
        default = self._field.default
        if said == default:
            return "missed", ""
        if gold == default:
            return _spurious(mention)
        cue = _negated(mention) if mention else ""
        away = {gold.casefold(), said.casefold()} & _AWAY
        return ("negation", cue) if away or cue else ("wrong_value", "")

    def errors(self, pairs: Sequence[tuple[Example, str, str]]) -> Iterator[_Error]:
        """Yield the errors among (note, gold, said)."""
        mentions = [self.mention(e) if g != s else None for e, g, s in pairs]
        suspects = self._suspects(pairs) if any(g != s for _, g, s in pairs) else set()
        for (example, gold, said), mention in zip(pairs, mentions, strict=True):
            if gold == said:
                continue
            kind, cue = self.kind(mention, gold, said)
            if example.id in suspects:
                kind, cue = "label_suspect", ""
            yield _Error(kind, self._field.name, example.id, cue)

    def _suspects(self, pairs: Sequence[tuple[Example, str, str]]) -> set[str]:
        alike: dict[frozenset[str], list[tuple[Example, str, str]]] = defaultdict(list)
        for pair in pairs:
            found = self.mention(pair[0])
            if found is not None:
                alike[frozenset(w for w in found.sentence.split() if not w.isdigit())].append(pair)
        suspects = set()
        for same in alike.values():
            for example, gold, said in same:
                others = [p for p in same if p[0].group != example.group]
                if gold != said and _agree(others, said):
                    suspects.add(example.id)
        return suspects


def _agree(others: Sequence[tuple[Example, str, str]], label: str) -> bool:
    right = sum(gold == label == said for _, gold, said in others)
    labelled = sum(gold == label for _, gold, _ in others)
    return right >= SUSPECT_NOTES and labelled >= SUSPECT_SHARE * len(others)


def _item_errors(
    field: FieldSpec, example: Example, gold: JsonValue, said: JsonValue
) -> Iterator[_Error]:
    """Yield the errors in one open list: items left out, added, or cut at the wrong place."""
    wanted = {flat(str(i)): str(i) for i in gold} if isinstance(gold, list) else {}
    given = {flat(str(i)): str(i) for i in said} if isinstance(said, list) else {}
    left_out = [i for i in wanted if i not in given]
    for item in (i for i in given if i not in wanted):
        near = next((w for w in left_out if item in w or w in item), None)
        if near is not None:
            left_out.remove(near)
            yield _Error("boundary", field.name, example.id)
        else:
            kind, cue = _spurious(_mention(example.text, [item]))
            yield _Error(kind, field.name, example.id, cue)
    if left_out:
        yield _Error("missed", field.name, example.id)


def _value_errors(
    field: ListField, example: Example, gold: JsonValue, said: JsonValue
) -> Iterator[_Error]:
    """Yield the errors in one closed list, each about one value, or about one in another's place."""
    wanted, given = ([str(i) for i in v] if isinstance(v, list) else [] for v in (gold, said))
    missed = [v for v in field.values if v in wanted and v not in given]
    added = [v for v in field.values if v in given and v not in wanted]
    if len(missed) == len(added) == 1:
        about = f"{added[0]} for {missed[0]}"
        yield _Error("wrong_value", field.name, example.id, about=about)
        return
    for value in missed:
        yield _Error("missed", field.name, example.id, about=value)
    for value in added:
        kind, cue = _spurious(_mention(example.text, [flat(value)]))
        yield _Error(kind, field.name, example.id, cue, value)


def _field_errors(
    field: FieldSpec, pairs: Sequence[tuple[Example, Answer]], prompt: Prompt | None
) -> Iterator[_Error]:
    labels: list[tuple[Example, str, str]] = []
    for example, answer in pairs:
        gold = (example.gold or {})[field.name]
        problem = answer.problems.get(field.name)
        said = (answer.record or {}).get(field.name)
        if problem == "truncated":
            yield _Error("truncated", field.name, example.id)
        elif problem == "invalid":
            yield _Error("format", field.name, example.id)
        elif problem is None and said is not None:
            if isinstance(field, LabelField):
                labels.append((example, str(gold), str(said)))
            elif field.values:
                yield from _value_errors(field, example, gold, said)
            else:
                yield from _item_errors(field, example, gold, said)
    if isinstance(field, LabelField):
        yield from _LabelReader(field, prompt).errors(labels)


def _shared_cue(cues: Sequence[str]) -> str:
    """Return the cue of at least half of the errors, or an empty text."""
    counts = Counter(c for c in cues if c)
    if not counts:
        return ""
    cue, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return cue if 2 * count >= len(cues) else ""


def _finding(errors: Sequence[_Error], total: int) -> Finding:
    notes = tuple(dict.fromkeys(e.note for e in errors))
    about, cue = errors[0].about, _shared_cue([e.cue for e in errors])
    return Finding(
        kind=errors[0].kind,
        field=errors[0].field,
        count=len(notes),
        total=total,
        example_ids=notes,
        cue=f"{about} ({cue})" if about and cue else about or cue,
    )


def diagnose(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    fields: Sequence[FieldSpec],
    prompt: Prompt | None = None,
) -> tuple[Finding, ...]:
    """Return the errors by kind and field, most frequent first.

    Args:
        examples: Notes of train; a field without a gold value is passed over.
        answers: The student's, in the same order.
        fields: The task's fields.
        prompt: The student's prompt, whose «Look for» phrases help to find mentions.
    """
    found: list[Finding] = []
    for field in fields:
        both = zip(examples, answers, strict=True)
        pairs = [(e, a) for e, a in both if e.gold is not None and field.name in e.gold]
        place = {e.id: i for i, (e, _) in enumerate(pairs)}
        groups: dict[tuple[FindingKind, str], list[_Error]] = defaultdict(list)
        for error in sorted(_field_errors(field, pairs, prompt), key=lambda e: place[e.note]):
            groups[error.kind, error.about].append(error)
        found += [_finding(group, len(pairs)) for group in groups.values()]
    return tuple(sorted(found, key=lambda f: (-f.count, f.field, f.kind, f.cue)))
