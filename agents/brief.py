"""The brief: what a chat teacher is told at the start of a round.

Owns its words and its length. Scores, errors, the guideline and everything that was tried always
stand in it, shortened if they must be; notes fill what room is left, failures beside passes, cut down
to the sentences that bear on the field and quoted as data. The fixed words are in ``prompts``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from pydantic import JsonValue

from preceptor.agents.mining import Corpus
from preceptor.agents.study import FieldStudy, Study
from preceptor.core import readable, telling
from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Evidence, ToolSpec
from preceptor.core.record import canonical
from preceptor.core.records import Attempt, Example, Finding, Interval, Situation
from preceptor.core.render import field_block, numbered, quote, shot_line

CHARS_PER_TOKEN = 3
"""Below the usual four, so that an estimate rather leaves room than overruns."""

LEAST_TOKENS = 2500
SHARES = {"scores": 0.14, "findings": 0.1, "guideline": 0.28, "attempts": 0.18, "prospects": 0.06}
"""How much of the room each part may take before it is shortened; notes get the rest."""

USUAL_TOKENS = 10_000
"""A brief that is no longer than this leaves something out only where it must."""

LEAST_FIRST = {"prospects": 0, "attempts": 1200, "findings": 400, "guideline": 900, "scores": 400}
"""What is shortened after the notes, in this order, and the characters that are left of each."""

RECENT = 20
"""The latest attempts that have a line each; what earlier ones tried is told together."""

NOTE_CHARS = 420
PER_FINDING = 2
PROSPECTS = 4


@cache
def words(name: str) -> str:
    """Return the fixed words of ``prompts/NAME.md``."""
    return (resources.files("preceptor.agents") / "prompts" / f"{name}.md").read_text("utf-8").strip()


class Locator:
    """Finds the sentences of a note that bear on a field: those with its hints, name or phrases."""

    def __init__(self) -> None:
        self._last: tuple[Evidence, Study] | None = None

    def study(self, evidence: Evidence) -> Study:
        """Return what was counted for ``evidence``, counting it only once."""
        if self._last is None or self._last[0] is not evidence:
            self._last = evidence, Study(evidence, Corpus(evidence.examples))
        return self._last[1]

    def __call__(self, evidence: Evidence, field: FieldSpec, example: Example) -> list[str]:
        """Return the sentences, in order; none if nothing in the note is known to bear on it."""
        study = self.study(evidence)
        at = next(i for i, e in enumerate(evidence.examples) if e.id == example.id)
        of = next(s for s in study.fields if s.field.name == field.name)
        return study.corpus.hit_sentences(at, study.names(of))


def brief(
    situation: Situation, evidence: Evidence, tools: Sequence[ToolSpec], most_tokens: int
) -> tuple[str, str]:
    """Return the system message and the brief.

    Args:
        situation: The round.
        evidence: The shown part of train.
        tools: What may be called.
        most_tokens: The most tokens of both together, estimated at ``CHARS_PER_TOKEN``.

    Raises:
        InputError: If that is too little for any brief.
    """
    if most_tokens < LEAST_TOKENS:
        raise InputError(f"a brief of {most_tokens} tokens is too short", f"at least {LEAST_TOKENS}")
    told = shortened(situation, evidence, tools, most_tokens * CHARS_PER_TOKEN)
    return told.system, told.text


@dataclass(frozen=True)
class Told:
    """A brief: its two messages, and which parts are shorter than where there is room."""

    system: str
    text: str
    left_out: tuple[str, ...] = ()


def shortened(
    situation: Situation, evidence: Evidence, tools: Sequence[ToolSpec], most_chars: int
) -> Told:
    """Return a brief of a length; what matters least is left out first.

    That is ``LEAST_FIRST``: of notes and estimates all, of the rest as much as must be.

    Args:
        situation: The round.
        evidence: The shown part of train.
        tools: What may be called.
        most_chars: The most characters of system message and brief.

    Raises:
        InputError: If that is too little for any brief.
    """
    system = words("teacher")
    standing, left = _standing(situation, evidence), _left(situation, tools)
    fixed = len(system) + len(words("brief")) + len(standing) + len(left) + 20
    room = most_chars - fixed
    usual = max(room, USUAL_TOKENS * CHARS_PER_TOKEN - fixed)
    caps = {name: int(share * usual) for name, share in SHARES.items()}
    parts = {name: _part(name, situation, evidence, cap) for name, cap in caps.items()}
    shorter = []
    for name, least in LEAST_FIRST.items():
        over = sum(map(len, parts.values())) - room
        if over <= 0:
            break
        cap = max(least, len(parts[name]) - over)
        cut = _part(name, situation, evidence, cap) if cap else "left out"
        if len(cut) < len(parts[name]):
            parts[name] = cut
            shorter.append(name)
    used = sum(map(len, parts.values()))
    if used > room:
        raise InputError(f"a brief of {most_chars} characters is too short", "more room for it")
    notes = _notes(situation, evidence, room - used)
    if shorter or (room < usual and notes != _notes(situation, evidence, usual - used)):
        shorter = ["notes", *shorter]
    told = {**parts, "notes": notes, "round": str(situation.round), "standing": standing, "left": left}
    return Told(system, Template(words("brief")).substitute(told), tuple(shorter))


def _part(name: str, situation: Situation, evidence: Evidence, cap: int) -> str:
    """Return one part of the brief in about ``cap`` characters."""
    match name:
        case "scores":
            return _scores(situation, evidence, cap)
        case "findings":
            return _findings(situation, cap)
        case "guideline":
            return _guideline(situation, evidence, cap)
        case "prospects":
            return _prospects(situation, cap)
        case _:
            return _attempts(situation.attempts, cap)


def _shown(value: Interval) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 2)] + " …"


def _fit(lines: Sequence[str], cap: int, more: str) -> str:
    """Return the first lines that fit, and how many do not."""
    kept: list[str] = []
    size = 0
    for line in lines:
        if size + len(line) + 1 > cap - len(more) - 20:
            return "\n".join([*kept, f"… {len(lines) - len(kept)} {more}"])
        kept.append(line)
        size += len(line) + 1
    return "\n".join(kept) or "none"


def _standing(situation: Situation, evidence: Evidence) -> str:
    patients = len({e.group for e in evidence.examples})
    lines = [
        f"Score ({situation.metric}) on {len(evidence.examples)} shown training notes of {patients} "
        f"patients: {_shown(situation.score)}."
    ]
    if situation.dev is not None:
        lines.append(f"The accepted student on the development notes: {_shown(situation.dev)}.")
    counted = readable.count(evidence.answers, evidence.recipe)
    if counted.worrying:
        lines.append(f"Warning: {counted.counts()}; no wording mends that.")
    if situation.pending:
        lines.append("The prompt below carries pending changes that are not yet accepted.")
    return "\n".join(lines)


def _left(situation: Situation, tools: Sequence[ToolSpec]) -> str:
    money = ", ".join(f"{name} {amount:g}" for name, amount in sorted(situation.money.items()))
    moves = ", ".join(t.name for t in tools if t.changing)
    looks = ", ".join(t.name for t in tools if not t.changing)
    return (
        f"Rounds after this one: {situation.rounds_left}. Looks at the development notes: "
        f"{situation.looks_left}. Money: {money or 'no limit set'}.\n"
        f"Changing moves: {moves or 'none'}. Others: {looks or 'none'}."
    )


def _scores(situation: Situation, evidence: Evidence, cap: int) -> str:
    ordered = sorted(situation.fields.items(), key=lambda item: (item[1].value, item[0]))
    lines = [f"- {_cut(name, 64)}: {_shown(value)}" for name, value in ordered]
    return _fit(lines, cap, "better fields not shown (look: errors_by_field)")


def _findings(situation: Situation, cap: int) -> str:
    return _fit([*map(_finding, situation.findings)], cap, "rarer ones not shown")


def _finding(found: Finding) -> str:
    head = f"- {found.kind} in {found.field!r}: {found.count} of {found.total} notes"
    if found.kind == "constant_answer":
        return f"{head} say otherwise; {telling.constant(found)}; {telling.HELPS}"
    return head + (f', beside "{_cut(quote(found.cue), 60)}"' if found.cue else "")


def _guideline(situation: Situation, evidence: Evidence, cap: int) -> str:
    """The prompt as rendered, worst fields first; rules carry their numbers."""
    recipe = evidence.recipe
    head = [f"Instruction: {_cut(recipe.prompt.instruction, cap // 6)}"]
    if recipe.prompt.rules:
        head.append(_cut("General " + numbered(recipe.prompt.rules), cap // 4))
    ask = "one call per field" if recipe.mode == "per_field" else "all fields in one call"
    head.append(f"Mode: {ask}. Model: {recipe.model.spec}.")
    if recipe.index:
        head.append(f"Retrieved worked examples: up to {recipe.index.k} per call.")
    rank = {n: v.value for n, v in situation.fields.items()}
    fields = sorted(evidence.fields, key=lambda f: (rank.get(f.name, 1.0), f.name))
    blocks = [_cut(field_block(recipe.prompt, f), cap // 3) for f in fields]
    shots = []
    for i, shot in enumerate(recipe.shots, 1):
        asked = [f for f in evidence.fields if f.name in shot.answer]
        if asked:
            names = ", ".join(f.name for f in asked)
            shots.append(f"Worked example {i} ({names}): {_cut(shot_line(shot, asked), 160)}")
    return _fit([*head, *blocks, *shots], cap, "more blocks not shown; they stay as they are")


def _prospects(situation: Situation, cap: int) -> str:
    """The best few calls that tools have estimated, each on a line."""
    shown = situation.prospects[:PROSPECTS]
    each = cap // max(1, len(shown))
    lines = []
    for p in shown:
        gain = f": {100 * p.gain:+.1f} points, about {p.tokens:+d} prompt tokens per note"
        why = f" ({_cut(quote(p.why), each // 3)})"
        call = f"- {p.tool} {quote(canonical(p.args))}"
        lines.append(_cut(call, max(40, each - len(gain) - len(why))) + gain + why)
    return "\n".join(lines) or "none"


def _attempts(attempts: Sequence[Attempt], cap: int) -> str:
    """Every attempt on a line; of a long history, what the earlier ones tried is told together."""
    if not attempts:
        return "nothing yet"
    early, late = attempts[:-RECENT], attempts[-RECENT:]
    # What one line needs at least, so that round, outcome and tool can be read.
    least = min(cap, 60 * len(late))
    told = _condensed(early, max(cap // 2, cap - least - 800)) if early else []
    room = cap - sum(len(line) + 1 for line in told)
    each = max(48, room // len(late) - 1)
    return "\n".join([*told, *(_attempt(a, each) for a in late)])


def _condensed(attempts: Sequence[Attempt], cap: int) -> list[str]:
    """Tell what many attempts tried: per outcome and place, every different thing once."""
    tried: dict[tuple[str, str], dict[str, None]] = {}
    for attempt in attempts:
        for where, what in _told(attempt):
            tried.setdefault((attempt.outcome, where), {}).update(dict.fromkeys(what))
    head = f"- rounds {attempts[0].round}-{attempts[-1].round}, together:"
    whole = [f"  {o}: {where} [{'; '.join(map(quote, what))}]" for (o, where), what in tried.items()]
    if sum(map(len, whole)) + len(whole) <= cap - len(head):
        return [head, *whole]
    each = max(24, (cap - len(head)) // len(whole) - 1)
    return [head, *(_cut(line, each) for line in whole)][: max(1, cap // 25)]


def _told(attempt: Attempt) -> Iterator[tuple[str, list[str]]]:
    """Yield (place, things tried there) of an attempt."""
    patches = attempt.args.get("patches")
    if not isinstance(patches, list):
        yield attempt.tool, [canonical(attempt.args)]
        return
    for patch in patches:
        if isinstance(patch, dict):
            rest = [v for k, v in patch.items() if k not in ("kind", "field", "example_id")]
            told = [str(x) for v in rest for x in (v if isinstance(v, list) else [v])]
            yield f"{patch.get('kind')} {patch.get('field') or ''}".strip(), told


def _attempt(attempt: Attempt, limit: int) -> str:
    def points(gain: float | None) -> str:
        return "?" if gain is None else f"{100 * gain:+.1f}"

    told = f"train {points(attempt.train_gain)}, dev {points(attempt.dev_gain)}"
    head = f"- round {attempt.round}: {attempt.outcome} ({told}) {attempt.tool}: "
    tail = f" ({_cut(attempt.reason, limit // 3)})" if attempt.reason else ""
    return _cut(
        head + _cut(_summary(attempt.args), max(0, limit - len(head) - len(tail))) + tail, limit
    )


def _summary(args: dict[str, JsonValue]) -> str:
    patches = args.get("patches")
    if not isinstance(patches, list):
        return quote(canonical(args))
    said = []
    for patch in patches:
        if isinstance(patch, dict):
            rest = [v for k, v in patch.items() if k not in ("kind", "field", "example_id")]
            told = "; ".join(", ".join(map(str, v)) if isinstance(v, list) else str(v) for v in rest)
            said.append(f"{patch.get('kind')} {patch.get('field', '')} [{told}]")
    return quote(" | ".join(said))


def _notes(situation: Situation, evidence: Evidence, room: int) -> str:
    """Failures and passes, in turn over the findings, until the room is full."""
    lines: list[str] = []
    size = 0
    for line in _excerpts(situation, evidence):
        if size + len(line) + 1 > room:
            break
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines) or "none fit; use a look"


def _excerpts(situation: Situation, evidence: Evidence) -> Iterator[str]:
    study = Study(evidence, Corpus(evidence.examples))
    place = {e.id: i for i, e in enumerate(evidence.examples)}
    by_name = {s.field.name: s for s in study.fields}
    passed: set[str] = set()
    for turn in range(PER_FINDING):
        for finding in situation.findings:
            if finding.kind == "constant_answer":
                continue  # Its notes stand under the other kinds.
            shown = [i for i in finding.example_ids if i in place]
            of = by_name.get(finding.field)
            if of is None or turn >= len(shown):
                continue
            yield _excerpt(study, of, place[shown[turn]], _named(finding))
            if finding.field not in passed:
                passed.add(finding.field)
                right = sorted(of.notes(gold=True, right=True))[:1]
                yield from (_excerpt(study, of, i, "right, for contrast") for i in right)


def _named(finding: Finding) -> str:
    return finding.kind.replace("_", " ")


def _excerpt(study: Study, of: FieldStudy, note: int, what: str) -> str:
    example, answer = study.evidence.examples[note], study.evidence.answers[note]
    name = of.field.name
    around = study.corpus.hit_sentences(note, study.names(of))
    text = " … ".join(dict.fromkeys(around)) or example.text
    shown = _cut(" ".join(quote(text).split()), NOTE_CHARS)
    gold = canonical((example.gold or {}).get(name))
    said = quote(_cut(canonical((answer.record or {}).get(name)), 80))
    head = f"- {name}, {what}: note {quote(example.id)}, gold {quote(gold)}, answered {said}"
    return f"{head}\n  <note>{shown}</note>"
