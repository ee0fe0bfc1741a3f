"""Which of a run's moves are in what it leaves behind: counted from the attempts alone.

Owns that rule. A move that was *pending* stands in a stack: a later acceptance keeps the whole stack,
a candidate that dev speaks against takes it down whole, and one that was not worth a look at dev leaves
it standing. An index takes the place of an earlier one, so a pending index under a newer one is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.core.records import Attempt

REPLACED = frozenset({"index_examples"})
"""Moves of which a later one takes the place of an earlier one."""


def kept(attempts: Sequence[Attempt]) -> tuple[int | None, ...]:
    """Return, per attempt, the round whose acceptance keeps it; None if none does."""
    found: list[int | None] = [None] * len(attempts)
    stack: list[int] = []
    for place, tried in enumerate(attempts):
        if tried.outcome in ("accepted", "pending") and tried.tool in REPLACED:
            stack = [i for i in stack if attempts[i].tool != tried.tool]
        if tried.outcome == "accepted":
            for i in (*stack, place):
                found[i] = tried.round
            stack = []
        elif tried.outcome == "pending":
            stack.append(place)
        elif tried.outcome == "rejected" and tried.dev_gain is not None:
            stack = []
    return tuple(found)


def marked(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Return the attempts; those that a later round's acceptance kept say with which."""
    return tuple(
        tried.model_copy(update={"kept_with": by})
        if by is not None and tried.outcome == "pending"
        else tried
        for tried, by in zip(attempts, kept(attempts), strict=True)
    )


def carried(attempts: Sequence[Attempt], accepted: Attempt) -> list[int]:
    """Return the rounds of pending moves that come along with one that is accepted now."""
    whole = [*attempts, accepted.model_copy(update={"outcome": "accepted"})]
    now = zip(whole[:-1], kept(whole), strict=False)
    return [t.round for t, by in now if by == accepted.round and t.outcome == "pending"]


def fate(tried: Attempt) -> str:
    """Return what became of a marked attempt, in words."""
    return f"kept (with round {tried.kept_with})" if tried.kept_with is not None else tried.outcome


def summary(attempts: Sequence[Attempt]) -> str:
    """Return the moves that are kept, in order: ``edit_prompt (round 2, with 4)``; or an empty text."""
    told = []
    for tried in marked(attempts):
        if tried.outcome == "accepted":
            told.append(f"{tried.tool} (round {tried.round})")
        elif tried.kept_with is not None:
            told.append(f"{tried.tool} (round {tried.round}, with {tried.kept_with})")
    return ", ".join(told)


def is_kept(tried: Attempt) -> bool:
    """Return whether a marked attempt is in what the run left behind."""
    return tried.outcome == "accepted" or tried.kept_with is not None
