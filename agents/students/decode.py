"""Decoding: rows of a batch, at different places of different answers, go on together.

Owns choosing tokens and the order of feeding. A chosen token and the tokens that it forces are fed
at once (jump-ahead), in steps that are as long as every row allows, so that nothing is padded. For
an answer with one label that is one step: the prompt's end with all that is forced before the label
goes in, the label is chosen, and what follows is forced to the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from preceptor.agents.students.grammar import Free, State
from preceptor.agents.students.latent import latent
from preceptor.agents.students.prefix import Logits, Prefixes
from preceptor.core.records import Call


@dataclass
class Row:
    """One answer in the making.

    Attributes:
        call: What is asked.
        prefix: Which of the batch's prefixes it goes on from.
        rest: The prompt's tokens after that prefix, at least one.
        state: Where the answer stands.
        limit: The most tokens that it may have.
        answer: Its tokens so far.
        complete: Whether it came to its own end.
        waiting: Tokens that are decided but not yet read by the model.
        logprob: The log-probability of the answer among all that the grammar allows; only counted
            under a grammar.
        finite: Whether all scores that a token was picked by were numbers.
    """

    call: Call
    prefix: int
    rest: list[int]
    state: State | Free
    limit: int
    answer: list[int] = field(default_factory=list)
    complete: bool = False
    waiting: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finite: bool = True

    def open(self) -> None:
        """Put the prompt's rest and the first forced tokens into ``waiting``."""
        self.waiting = list(self.rest)
        self._take(self.state.forced)
        self.complete = self.state.done and len(self.answer) <= self.limit

    def choose(self, logits: Logits, ends: frozenset[int]) -> None:
        """Choose the next token from its logits, (v,), and take what it forces."""
        token = self._pick(logits)
        if token in ends:
            self.complete = True
            return
        self.state = self.state.after(token)
        self._take((token, *self.state.forced))
        self.complete = self.state.done and len(self.answer) <= self.limit

    @property
    def over(self) -> bool:
        """Whether nothing is left to do: complete, or at its limit."""
        return self.complete or len(self.answer) >= self.limit

    def _take(self, tokens: tuple[int, ...]) -> None:
        self.answer += tokens
        self.waiting += tokens

    def _pick(self, logits: Logits) -> int:
        allowed = self.state.allowed
        scores = logits if allowed is None else logits[allowed[allowed < len(logits)]]
        heat = self.call.decoding.temperature
        if heat > 0:
            odds = np.exp((scores - scores.max()).astype(np.float64) / heat).cumsum()
            drawn = latent(self.call.decoding.seed, *self.call.key, len(self.answer))
            best = int(np.searchsorted(odds, drawn * odds[-1], side="right"))
        else:
            best = int(scores.argmax())
        self.finite = self.finite and bool(np.isfinite(scores[best]))
        if allowed is None:
            return best
        top = scores.max()
        self.logprob += float(scores[best] - top) - math.log(float(np.exp(scores - top).sum()))
        return int(allowed[best])


def groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Return rows in groups whose opening tokens are equally many."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(len(row.waiting), []).append(row)
    return [found[size] for size in sorted(found)]


def run(prefixes: Prefixes, rows: Sequence[Row], ends: frozenset[int], jump_ahead: bool = True) -> None:
    """Bring rows to their end.

    Args:
        prefixes: What the rows go on from.
        rows: Changed in place: ``answer`` (cut at ``limit``) and ``complete``.
        ends: The tokens that end an answer.
        jump_ahead: Whether forced tokens are fed at once; off: one at a time, for comparison.
    """
    for row in rows:
        row.open()
    for group in groups([row for row in rows if not row.over]):
        _finish(prefixes, group, ends, jump_ahead)
    for row in rows:
        row.answer = row.answer[: row.limit]


def _finish(prefixes: Prefixes, group: list[Row], ends: frozenset[int], jump_ahead: bool) -> None:
    going = prefixes.rows([row.prefix for row in group])
    step = min(len(row.waiting if jump_ahead else row.rest) for row in group)
    while group:
        logits = going.feed([row.waiting[:step] for row in group])
        for row, scores in zip(group, logits, strict=True):
            row.waiting = row.waiting[step:]
            if not row.waiting:
                row.choose(scores, ends)
        left = [i for i, row in enumerate(group) if not row.over]
        if left and len(left) < len(group):
            going.keep(left)
        group = [group[i] for i in left]
        step = min((len(row.waiting) for row in group), default=0) if jump_ahead else 1
