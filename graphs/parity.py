"""The parity gate: whether the model that is served is the model that was trained.

Owns the rule and the differences. Two students are asked the same calls at temperature 0: the one in
process, whose weights were measured, and the one that is to be served. Differences are shown as ids and
counts, never as text.

The rule: at least 40 prompts; the same number of prompt tokens in all, and the same text where the
server shows what its template renders; without quantisation, at least 98 % of the fields equal; with
it, an accuracy that is not more than 2 points lower, and a recall of what there is to find that is not
surely lower: where most fields are empty, a model that has gone dumb loses little accuracy. With it a
near tie (``ties``) is no fault, too: it counts as the answer of the model in process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from preceptor.core import parse
from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Student
from preceptor.core.record import Record
from preceptor.core.records import Call, Example, Reply, Scored
from preceptor.evals.metrics import resampling
from preceptor.evals.metrics.choice import counted as counted_labels
from preceptor.evals.metrics.statistic import Recall
from preceptor.evals.scorers import score_answer
from preceptor.graphs import ties

FEWEST, EQUAL, WORSE, LESS = 40, 0.98, 0.02, 0.05

Key = tuple[str, tuple[str, ...]]


class Difference(Record):
    """One prompt that the two do not treat alike.

    Attributes:
        example_id: The note.
        fields: What is asked.
        tokens: How many tokens the two read; None where one does not say.
        differs: The fields whose answers differ.
        near: Those of them whose two values are about equally probable to the model in process.
    """

    example_id: str
    fields: tuple[str, ...]
    tokens: tuple[int | None, int | None]
    differs: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


class Parity(Record):
    """What the gate found.

    Attributes:
        route: How the served student was asked: ``raw`` (our text) or ``chat`` (its own template).
        quantised: Whether its weights were made smaller.
        prompts: How many were compared.
        tokens_equal: In how many the two read as many tokens.
        fields: How many fields were answered.
        fields_equal: How many of them alike.
        score: The accuracy of the one in process; None if no note has a gold answer.
        served_score: The same of the one that is served.
        recall: How much more of what there is to find the served one finds; 0 if there is nothing.
        recall_p: The one-sided p value of "the served one finds less".
        ties: How many fields differ by a near tie (``ties``) only; where weights are quantised these
            count neither in ``served_score`` nor in ``recall``.
        differences: What differs, in the order of the prompts.
        texts_equal: How many prompts the served template renders as training did; None where the
            server does not show what it renders.
    """

    route: str
    quantised: bool
    prompts: int
    tokens_equal: int
    fields: int
    fields_equal: int
    score: float | None
    served_score: float | None
    differences: tuple[Difference, ...]
    texts_equal: int | None = None
    recall: float = 0.0
    recall_p: float = 1.0
    ties: int = 0

    @property
    def objections(self) -> list[str]:
        """Why it must not be served; empty if it may."""
        found = []
        if self.tokens_equal < self.prompts:
            other = self.prompts - self.tokens_equal
            found.append(f"{other} of {self.prompts} prompts have another number of tokens")
        if self.texts_equal is not None and self.texts_equal < self.prompts:
            other = self.prompts - self.texts_equal
            found.append(f"{other} of {self.prompts} prompts are rendered otherwise")
        if not self.quantised and self.fields_equal < EQUAL * self.fields:
            found.append(
                f"{self.fields - self.fields_equal} of {self.fields} fields are answered otherwise"
            )
        if self.quantised and self.score is not None and self.served_score is not None:
            lost = self.score - self.served_score
            if lost > WORSE + 1e-9:
                found.append(f"quantised, it scores {100 * lost:.1f} points less")
        if self.quantised and self.recall < 0 and self.recall_p < LESS:
            found.append(f"quantised, it surely finds less: recall {100 * self.recall:+.1f} points")
        if self.quantised and self.score is None:
            found.append("no note has a gold answer, so that its score cannot be compared")
        return found

    def lines(self, most: int = 20) -> list[str]:
        """Return what a person reads: counts, and the first differences by id."""
        head = (
            f"{self.route}: {self.tokens_equal}/{self.prompts} prompts with equal token counts, "
            f"{self.fields_equal}/{self.fields} fields equal"
        )
        if self.ties:
            head += f" and {self.ties} near ties"
        if self.texts_equal is not None:
            head += f", {self.texts_equal}/{self.prompts} prompts rendered alike"
        if self.score is not None and self.served_score is not None:
            head += f", accuracy {self.score:.3f} in process, {self.served_score:.3f} served"
        rows = [
            f"  {d.example_id} {','.join(d.fields)}: tokens {_said(d.tokens[0])}, {_said(d.tokens[1])}"
            + (f"; differs: {', '.join(d.differs)}" if d.differs else "")
            + (f"; near ties: {', '.join(d.near)}" if d.near else "")
            for d in self.differences[:most]
        ]
        more = len(self.differences) - most
        return [head, *rows, *([f"  … and {more} more"] if more > 0 else [])]


def _said(tokens: int | None) -> str:
    return "not told" if tokens is None else str(tokens)


def compare(
    calls: Sequence[Call],
    notes: Sequence[Example],
    fields: Sequence[FieldSpec],
    pair: tuple[Student, Student],
    *,
    route: str,
    quantised: bool = False,
) -> Parity:
    """Ask two students the same, and compare.

    Args:
        calls: The prompts, of whole notes.
        notes: What they ask about.
        fields: The task's.
        pair: The student in process, and the one that is to be served.
        route: How the second one is asked.
        quantised: Whether its weights were made smaller.

    Raises:
        InputError: If there are fewer than 40 prompts.
        StudentError: If one of the two cannot be used.
    """
    if len(calls) < FEWEST:
        raise InputError(
            f"{len(calls)} prompts are too few to compare two models", f"{FEWEST} at least"
        )
    return counted(calls, notes, fields, pair, route=route, quantised=quantised)


def counted(
    calls: Sequence[Call],
    notes: Sequence[Example],
    fields: Sequence[FieldSpec],
    pair: tuple[Student, Student],
    *,
    route: str,
    quantised: bool = False,
) -> Parity:
    """Ask two students the same, and count, however few the prompts are; arguments as ``compare``."""
    cold = [replace(c, decoding=c.decoding.model_copy(update={"temperature": 0.0})) for c in calls]
    mine, served = ({r.key: r for r in student.complete(cold)} for student in pair)
    near = ties.find(cold, mine, served, pair[0]) if quantised else {}
    found = [_difference(c, mine.get(c.key), served.get(c.key), near.get(c.key, ())) for c in cold]
    for call in cold:
        if call.key in near:
            served[call.key] = ties.settled(served[call.key], call, mine[call.key], near[call.key])
    scored = [_scored(notes, fields, replies) for replies in (mine, served)]
    recall, recall_p = _recall(scored[0], scored[1], fields, counted_labels(fields, notes))
    return Parity(
        route=route,
        quantised=quantised,
        prompts=len(cold),
        tokens_equal=sum(_equal(d) for d in found),
        fields=sum(len(c.fields) for c in cold),
        fields_equal=sum(len(d.fields) - len(d.differs) for d in found),
        score=_mean(scored[0]),
        served_score=_mean(scored[1]),
        recall=recall,
        recall_p=recall_p,
        ties=sum(map(len, near.values())),
        differences=tuple(d for d in found if d.differs or not _equal(d)),
    )


def _equal(difference: Difference) -> bool:
    return difference.tokens[0] is not None and difference.tokens[0] == difference.tokens[1]


def _difference(
    call: Call, mine: Reply | None, served: Reply | None, near: tuple[str, ...] = ()
) -> Difference:
    here, there = (_values(call, reply) for reply in (mine, served))
    return Difference(
        example_id=call.example_id,
        fields=tuple(f.name for f in call.fields),
        tokens=(mine.prompt_tokens if mine else None, served.prompt_tokens if served else None),
        differs=tuple(f.name for f in call.fields if here[f.name] != there[f.name]),
        near=near,
    )


def _values(call: Call, reply: Reply | None) -> dict[str, object]:
    """Return, per field, the value that was read, or what kept it from being read."""
    if reply is None or reply.status != "ok":
        status = reply.status if reply else "failed"
        return {f.name: ("unread", status) for f in call.fields}
    values, problems = parse.read(reply.raw, call.fields)
    return {
        **{n: ("unread", p) for n, p in problems.items()},
        **{n: ("read", v) for n, v in values.items()},
    }


def _scored(
    notes: Sequence[Example], fields: Sequence[FieldSpec], replies: Mapping[Key, Reply]
) -> list[Scored]:
    found, asked = [], {key[0] for key in replies}
    for note in notes:
        if note.gold and note.id in asked:
            given = [r for r in replies.values() if r.key[0] == note.id]
            found.append(score_answer(note, parse.answer(note.id, fields, given), fields))
    return found


def _mean(scored: Sequence[Scored]) -> float | None:
    return sum(s.score for s in scored) / len(scored) if scored else None


def _recall(
    mine: Sequence[Scored],
    served: Sequence[Scored],
    fields: Sequence[FieldSpec],
    labels: Mapping[str, Sequence[str]],
) -> tuple[float, float]:
    """Return (the served one's recall minus mine, p of "less"), of notes that both answered."""
    both = {s.example_id for s in mine} & {s.example_id for s in served}
    sides = [[s for s in side if s.example_id in both] for side in (mine, served)]
    pair = resampling.pair(Recall(fields, labels), sides[0], sides[1])
    return (pair.gain, pair.loss_p()) if math.isfinite(pair.gain) else (0.0, 1.0)
