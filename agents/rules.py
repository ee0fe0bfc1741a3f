"""The rule teacher: picks the next move by expected gain per cost, without a model or a network.

Owns the choice: what was learnt from earlier moves of a family, what is never repeated, when nothing
promising is left. The moves come from ``agents.moves``. It holds no state between turns: everything
follows from the situation and the evidence, so that a resumed run goes on alike. It answers with an
``AIMessage`` that carries one tool call, as any chat model would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import JsonValue

from preceptor.agents import labelling
from preceptor.agents.blocking import blocked
from preceptor.agents.chat import as_turn
from preceptor.agents.meaning import Meaning
from preceptor.agents.mining import Corpus
from preceptor.agents.moves import Move, propose, prospect_moves
from preceptor.agents.salvage import salvage_moves
from preceptor.agents.study import Study
from preceptor.core.blocked import Blocked, dump, line
from preceptor.core.ports import Evidence, ToolSpec
from preceptor.core.record import canonical, digest
from preceptor.core.records import Attempt, Example, Situation, TeacherTurn, Usage

LEAST_GAIN = 0.002
"""Moves that promise less than this, in points of [0, 1], are not worth a round."""

PRIOR_GAIN = 0.02
"""A family's record starts as if it had once promised and brought this much."""

Choose = Callable[[Situation, Sequence[tuple[float, Move]], Study], Move | None]
"""Picks among moves and their corrected gains; None: nothing promising is left."""


def identity(tool: str, args: dict[str, JsonValue]) -> str:
    """Return what makes a move the same move: the tool and what it changes, not the reason given.

    Fresh weak labels make no other move: those of each round are made from other shown notes.
    """
    kept = {k: v for k, v in args.items() if k not in ("reason", "expected_gain")}
    weak = kept.get("weak")
    if isinstance(weak, dict):
        kept["weak"] = {k: v for k, v in weak.items() if k != "labels"}
    return canonical([tool, kept])


def family_of(attempt: Attempt) -> str:
    """Return the family that an earlier move of this teacher named in its reason."""
    return str(attempt.args.get("reason", "")).partition(":")[0]


def track_record(attempts: Sequence[Attempt], family: str) -> float:
    """Return realised over expected gain of a family, in [0, 1.5].

    The posterior mean of a ratio: what was brought over what was promised, beside one pseudo-move
    that promised and brought ``PRIOR_GAIN``. A move that was refused brought nothing.
    """
    promised = brought = PRIOR_GAIN
    for attempt in attempts:
        expected = attempt.args.get("expected_gain")
        if family_of(attempt) != family or not isinstance(expected, int | float):
            continue
        gain = attempt.train_gain if attempt.train_gain is not None else 0.0
        if attempt.dev_gain is not None:
            gain = (gain + attempt.dev_gain) / 2
        if attempt.outcome in ("error", "no_effect"):
            gain = 0.0
        if attempt.outcome == "rejected":
            gain = min(gain, 0.5 * float(expected))
        promised += max(float(expected), LEAST_GAIN)
        brought += gain
    return min(1.5, max(0.0, brought / promised))


def best_per_cost(
    situation: Situation, moves: Sequence[tuple[float, Move]], study: Study
) -> Move | None:
    """Pick the move with the most expected gain per cost.

    A round and a look cost the same whatever the move; tokens come on top, as a share of what a
    note's prompts cost already.
    """
    able = [(gain, move) for gain, move in moves if gain >= LEAST_GAIN]
    if not able or situation.looks_left < 1:
        return None

    def utility(pair: tuple[float, Move]) -> tuple[float, str]:
        gain, move = pair
        return gain / (1 + max(0, move.tokens) / study.base_tokens), canonical(move.args)

    return max(able, key=utility)[1]


class RuleTeacher:
    """Teaches by counting.

    Args:
        choose: How the next move is picked among the candidates.
        meaning: What phrases mean, where there is an embedder.
    """

    name = "rules"

    def __init__(self, choose: Choose = best_per_cost, meaning: Meaning | None = None) -> None:
        self._choose = choose
        self._meaning = meaning
        self._corpus: tuple[tuple[Example, ...], Corpus] | None = None

    def turn(
        self,
        situation: Situation,
        evidence: Evidence,
        transcript: Sequence[dict[str, JsonValue]],
        tools: Sequence[ToolSpec],
    ) -> TeacherTurn:
        """Say what to do next: one move, or ``finish``."""
        study = Study(evidence, self._cut(evidence.examples), self._meaning)
        tried = {identity(a.tool, a.args) for a in situation.attempts} | _called(transcript)
        found = propose(study, [t.name for t in tools])
        if any(t.name == "edit_prompt" for t in tools):
            found += salvage_moves(study, situation.attempts)
        known = labelling.told(transcript)
        for promised in prospect_moves(situation, [t.name for t in tools]):
            add = known is not None and known.good and labelling.can_add(promised)
            found.append(labelling.with_labels(promised, known) if known and add else promised)
        able = [m for m in found if identity(m.tool, m.args) not in tried]
        judged = [(track_record(situation.attempts, m.family) * m.gain, m) for m in able]
        move = self._choose(situation, judged, study)
        if move is None:
            names = [t.name for t in tools]
            return _finish(situation, blocked(situation, study, names, (found, judged), LEAST_GAIN))
        offered = any(t.name == labelling.LABEL for t in tools)
        if offered and labelling.can_add(move) and not _asked(transcript, labelling.LABEL):
            return _label(situation)
        gain = track_record(situation.attempts, move.family) * move.gain
        text = f"{move.family}: {move.why}; I expect {100 * gain:+.1f} points on train."
        return _say(situation, move.tool, {**move.args, "expected_gain": round(move.gain, 6)}, text)

    def _cut(self, examples: tuple[Example, ...]) -> Corpus:
        if self._corpus is None or self._corpus[0] != examples:
            self._corpus = examples, Corpus(examples)
        return self._corpus[1]


def _finish(situation: Situation, why: tuple[Blocked, ...]) -> TeacherTurn:
    told = f": {line(why)}" if why else ""
    reason = f"nothing promising is left{told}"
    return _say(situation, "finish", {"reason": reason, "blocked": dump(why)}, reason)


def _label(situation: Situation) -> TeacherTurn:
    text = "labels: before a training, I ask what rules say of the notes that nobody has labelled."
    return _say(situation, labelling.LABEL, {"voters": [*labelling.VOTERS], "reason": text}, text)


def _asked(transcript: Sequence[dict[str, JsonValue]], tool: str) -> bool:
    """Return whether a tool was called in this round already."""
    return any(call.startswith(f'["{tool}"') for call in _called(transcript))


def _called(transcript: Sequence[dict[str, JsonValue]]) -> set[str]:
    """Return the calls that were made in this round already."""
    out = set()
    for message in transcript:
        data = message.get("data")
        calls = data.get("tool_calls") if isinstance(data, dict) else None
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict) and isinstance(call.get("args"), dict):
                out.add(identity(str(call["name"]), call["args"]))  # type: ignore[arg-type]
    return out


def _say(situation: Situation, tool: str, args: dict[str, JsonValue], text: str) -> TeacherTurn:
    from langchain_core.messages import AIMessage

    name = "call-" + digest(canonical([situation.round, tool, args]))
    call = {"name": tool, "args": args, "id": name, "type": "tool_call"}
    message = AIMessage(content=text, tool_calls=[call], id="rules-" + name)
    return as_turn(message).model_copy(update={"usage": Usage(input_tokens=0, output_tokens=0)})
