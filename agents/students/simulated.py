"""The simulated student: a student whose accuracy is a known function of what its prompt holds.

Shipped so that choice, gate, stacking and rollback can be tried against ground truth, fast. It reads
the rendered messages like any student and knows the right answers of the examples that it was made
with. For each (note, field) it answers rightly with probability

    p = skill(field)
        − difficulty                          if the note holds one of the field's needs
        + lift × best(covered, hit_share × shown)   (shares of the note's needs of that field)
        + training gain × (1 − exp(−rows / training_scale)) × (what is missing to 1)
        − useless_cost × (Look-for entries and rules, its own and general, that cover no need)
        − length_cost × (hundreds of prompt characters beyond comfort)

clipped to [0.02, 0.98]. A need is a hidden phrase; it is *covered* when a Look-for entry or a rule of
the field (or a rule for all fields) covers it, *shown* when a line under Examples holds it. A need
with a negative ``lift`` is a trap: covering it makes notes that hold it worse. Whether the answer is
right compares p with one uniform number per (seed, note, field) that no recipe changes, so that two
recipes differ only where they differ. A wrong answer is mostly «nothing found», else another label.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from pydantic import Field, JsonValue

from preceptor.agents.students.latent import latent
from preceptor.agents.students.scripted import nothing_found
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.ports import Cancel
from preceptor.core.record import Record, digest
from preceptor.core.records import AdapterRef, Call, Example, Gold, ModelRef, Reply
from preceptor.core.render import answer_text

FLOOR, CEILING = 0.02, 0.98
_NUMBERED = re.compile(r"\d+\. ")


class Need(Record):
    """A hidden phrase that the student does not know by itself.

    Attributes:
        field: Whose mention it is.
        phrase: One to three words, lower case.
        lift: How much p rises in a note that holds it once the prompt covers it; negative: a trap.
    """

    field: str
    phrase: str
    lift: float = 0.45


class SimulatedSpec(Record):
    """How a simulated student errs; the module says what the numbers do.

    Attributes:
        skills: The base skill per field; ``default_skill`` for the others.
        needs: The hidden phrases.
        adapters: Training rows per adapter digest; an unknown adapter counts as 0 rows.
        missed: The share of wrong answers that are «nothing found», where that is wrong.
    """

    seed: int = 0
    default_skill: float = 0.85
    skills: dict[str, float] = Field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    difficulty: float = 0.45
    hit_share: float = 0.7
    training_gain: float = 0.6
    training_scale: float = 300.0
    adapters: dict[str, int] = Field(default_factory=dict)
    useless_cost: float = 0.006
    length_cost: float = 0.002
    comfort: int = 3000
    missed: float = 0.8


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one field's block says: which needs it covers, and how many entries cover none."""

    covered: frozenset[str]
    useless: int


def covers(entry: str, phrase: str) -> bool:
    """Return whether a Look-for entry or rule (lower case) covers a need's phrase.

    It does when it holds the phrase as whole words, or is itself a part of the phrase in whole
    words and at least half as long.
    """
    return _holds(entry, phrase) or (2 * len(entry) >= len(phrase) and _holds(phrase, entry))


def _holds(text: str, phrase: str) -> bool:
    return phrase in text and bool(_whole(phrase).search(text))


@lru_cache(maxsize=65536)
def _whole(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)")


def entries(block: str) -> list[str]:
    """Return the Look-for entries and numbered rules of a rendered block, in lower case."""
    found: list[str] = []
    for line in block.casefold().splitlines():
        if line.startswith("look for: "):
            found += line.removeprefix("look for: ").split("; ")
        elif _NUMBERED.match(line):
            found.append(_NUMBERED.sub("", line, count=1))
    return found


class SimulatedStudent:
    """Answers ``examples`` as ``spec`` says.

    Args:
        examples: The notes that it can be asked about, with their gold answers. Any other note, and
            a field without gold, is answered with «nothing found».
        spec: How it errs.
        adapter: Trained weights; ``spec.adapters`` says on how many rows.
    """

    def __init__(
        self, examples: Sequence[Example], spec: SimulatedSpec, adapter: AdapterRef | None = None
    ) -> None:
        self._gold: dict[str, Gold] = {e.id: e.gold or {} for e in examples}
        self._spec = spec
        self._needs: dict[str, list[Need]] = {}
        for need in spec.needs:
            self._needs.setdefault(need.field, []).append(need)
        rows = spec.adapters.get(adapter.digest, 0) if adapter else 0
        self._trained = spec.training_gain * (1 - math.exp(-rows / spec.training_scale))
        self._asked: dict[tuple[str, str, str], _Asked] = {}
        self._latent: dict[tuple[str, str], tuple[float, float]] = {}
        self._note: tuple[str, str] = "", ""
        known = digest([spec.fingerprint, *sorted(e.fingerprint for e in examples)])
        self.ref = ModelRef(spec="simulated", digest=known)
        self.context: int | None = None

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls in their order."""
        for call in calls:
            if cancel is not None and cancel():
                return
            text = answer_text(self._answer(call), call.fields)
            size = sum(len(m.content) for m in call.messages) // 4
            yield Reply(call.key, text, "ok", size, len(text) // 4 + 1)

    def close(self) -> None:
        """Hold nothing, so give nothing back."""

    def probability(self, call: Call, field: FieldSpec) -> float:
        """Return the probability of a right answer to ``field``: the module's formula."""
        system, user = call.messages[0].content, call.messages[-1].content
        shown, note, blocks = _parts(user)
        return self._p(field.name, (system, shown, note, blocks), len(system) + len(user))

    def _answer(self, call: Call) -> Gold:
        gold = self._gold.get(call.example_id, {})
        values = nothing_found(call.fields)
        for field in call.fields:
            if field.name in gold:
                right, other = self._draw(call.example_id, field.name)
                found = gold[field.name]
                correct = right < self.probability(call, field)
                values[field.name] = found if correct else self._wrong(field, found, other)
        return values

    def _p(self, field: str, parts: tuple[str, str, str, str], size: int) -> float:
        system, shown, note, blocks = parts
        spec, asked = self._spec, self._asked_of(field, system, blocks)
        p = spec.skills.get(field, spec.default_skill)
        needs = self._needs.get(field, ())
        if needs:
            if self._note[0] is not note and self._note[0] != note:
                self._note = note, note.casefold()
            here = [n for n in needs if _holds(self._note[1], n.phrase)]
            p += self._need_effect(here, asked.covered, shown) if here else 0.0
        p += self._trained * (1 - p)
        p -= spec.useless_cost * asked.useless
        p -= spec.length_cost * max(0, size - spec.comfort) / 100
        return min(CEILING, max(FLOOR, p))

    def _need_effect(self, here: Sequence[Need], covered: frozenset[str], shown: str) -> float:
        lines = shown.casefold()
        effect = 0.0
        for need in here:
            told = 1.0 if need.phrase in covered else 0.0
            seen = self._spec.hit_share if lines and _holds(lines, need.phrase) else 0.0
            effect += need.lift * max(told, seen) / len(here)
        hard = any(n.lift > 0 for n in here)
        return effect - (self._spec.difficulty if hard else 0.0)

    def _asked_of(self, field: str, system: str, blocks: str) -> _Asked:
        key = field, system, blocks
        if key not in self._asked:
            opening = f"\nField: {json.dumps(field, ensure_ascii=False)}\n"
            _, _, block = f"\n{blocks}".partition(opening)
            own = entries(block.partition('\nField: "')[0])
            general = entries(system)
            phrases = [n.phrase for n in self._needs.get(field, ())]
            useless = sum(not any(covers(e, p) for p in phrases) for e in own + general)
            hit = frozenset(p for p in phrases if any(covers(e, p) for e in own + general))
            if len(self._asked) > 4096:
                self._asked.clear()
            self._asked[key] = _Asked(hit, useless)
        return self._asked[key]

    def _draw(self, example: str, field: str) -> tuple[float, float]:
        key = example, field
        if key not in self._latent:
            seed = self._spec.seed
            self._latent[key] = latent(seed, *key, "right"), latent(seed, *key, "other")
        return self._latent[key]

    def _wrong(self, field: FieldSpec, gold: JsonValue, draw: float) -> JsonValue:
        if not isinstance(field, LabelField):
            return [] if gold else [field.values[0] if field.values else "unclear"]
        others = [v for v in field.values if v != gold]
        if field.default in others:
            if draw < self._spec.missed or len(others) == 1:
                return field.default
            others.remove(field.default)
            draw = (draw - self._spec.missed) / (1 - self._spec.missed)
        return others[min(int(draw * len(others)), len(others) - 1)]


def _parts(user: str) -> tuple[str, str, str]:
    """Return (worked examples, note, what is asked) of a prompt, whichever of them comes first."""
    head, _, after = user.rpartition("\n</note>")
    before, _, note = head.partition("<note>\n")
    if after:
        return before, note, after.removeprefix("\n")
    asked, opening, shown = before.partition("\n\nExamples:\n")
    return opening.lstrip() + shown, note, asked


def demo_spec(
    examples: Sequence[Example], fields: Sequence[FieldSpec], *, seed: int = 0, needs: int = 6
) -> SimulatedSpec:
    """Return a spec whose needs lie in the corpus, for a rule teacher to find.

    A field's needs are the phrases of one or two words that speak most for the field being found
    (log-odds of the notes that hold the phrase, with a prior of half a note), each in at least 3
    notes of 2 patients and none beside a stronger one that stands in the same notes.

    Args:
        examples: Notes with gold answers; all splits may be given.
        fields: The task's fields.
        seed: The seed of the student.
        needs: The most needs per field.
    """
    holding: dict[str, set[int]] = {}
    for i, example in enumerate(examples):
        for phrase in _phrases(example.text):
            holding.setdefault(phrase, set()).add(i)
    group = [e.group for e in examples]
    spread = {p: at for p, at in holding.items() if len(at) >= 3 and len({group[i] for i in at}) >= 2}
    found = [n for f in fields for n in _needs_of(f, examples, spread, needs)]
    return SimulatedSpec(seed=seed, needs=tuple(found))


def _needs_of(
    field: FieldSpec, examples: Sequence[Example], holding: dict[str, set[int]], most: int
) -> list[Need]:
    nothing = nothing_found([field])[field.name]
    positive = {i for i, e in enumerate(examples) if (e.gold or {}).get(field.name, nothing) != nothing}
    n, m = len(positive), len(examples) - len(positive)
    scored: list[tuple[float, str]] = []
    for phrase, at in holding.items():
        a = len(at & positive)
        b = len(at) - a
        odds = math.log((a + 0.5) / (n - a + 0.5)) - math.log((b + 0.5) / (m - b + 0.5))
        spread = math.sqrt(1 / (a + 0.5) + 1 / (b + 0.5))
        if a >= 3 and a > b:
            scored.append((odds / spread, phrase))
    kept: list[Need] = []
    for _, phrase in sorted(scored, key=lambda s: (-s[0], s[1])):
        at = holding[phrase]
        if len(kept) < most and all(
            len(at & holding[k.phrase]) <= len(at | holding[k.phrase]) / 2 for k in kept
        ):
            kept.append(Need(field=field.name, phrase=phrase))
    return kept


_STOP = frozenset(
    "a an and are as at be been but by for from had has have he her him his i in is it its no not of "
    "on or our she so that the their them then there they this to was we were which with you".split()
)


def _phrases(text: str) -> set[str]:
    words = re.findall(r"\w+|[^\w\s]", text.casefold())
    single = {w for w in words if w not in _STOP and len(w) > 2 and w.isalpha()}
    pairs = {
        f"{a} {b}"
        for a, b in pairwise(words)
        if {a, b} & single and a.isalpha() and b.isalpha() and b not in _STOP and a not in _STOP
    }
    return single | pairs
