"""Which moves a run kept: by their own acceptance, or with a later one."""

from __future__ import annotations

import pytest

from preceptor.core.kept import carried, fate, is_kept, kept, marked, summary
from preceptor.core.records import Attempt


def tried(*told: str) -> list[Attempt]:
    """Return attempts from ``tool outcome``; ``rejected!`` was looked at on dev."""
    out = []
    for number, one in enumerate(told, 1):
        tool, outcome = one.split()
        looked = outcome.endswith("!") or outcome in ("accepted", "pending")
        out.append(
            Attempt.model_validate(
                {
                    "round": number,
                    "tool": tool,
                    "args": {},
                    "outcome": outcome.rstrip("!"),
                    "dev_gain": 0.01 if looked else None,
                }
            )
        )
    return out


@pytest.mark.parametrize(
    ("told", "rounds"),
    [
        (["edit accepted", "edit rejected"], (1, None)),
        (["edit pending", "tune pending", "edit accepted"], (3, 3, 3)),
        (["edit pending", "edit rejected", "tune accepted"], (3, None, 3)),
        (["edit pending", "edit rejected!", "tune accepted"], (None, None, 3)),
        (["edit pending", "edit error", "edit unfinished"], (None, None, None)),
        (["edit accepted", "tune pending", "edit rejected!"], (1, None, None)),
        (["index_examples pending", "index_examples accepted"], (None, 2)),
        (["index_examples pending", "edit accepted", "index_examples accepted"], (2, 2, 3)),
        (["index_examples pending", "index_examples rejected", "edit accepted"], (3, None, 3)),
    ],
)
def test_a_stack_is_kept_whole_or_lost_whole(told: list[str], rounds: tuple[int | None, ...]) -> None:
    assert kept(tried(*told)) == rounds


def test_it_is_told_with_which_round() -> None:
    found = marked(tried("index_examples accepted", "edit pending", "edit rejected", "tune accepted"))
    assert [fate(a) for a in found] == ["accepted", "kept (with round 4)", "rejected", "accepted"]
    assert [a.round for a in found if is_kept(a)] == [1, 2, 4]
    assert summary(found) == "index_examples (round 1), edit (round 2, with 4), tune (round 4)"
    assert marked(found) == found
    assert summary(tried("edit pending")) == ""


def test_an_acceptance_tells_what_comes_along() -> None:
    before = tried("edit pending", "index_examples pending")
    move = Attempt(round=3, tool="index_examples", args={}, outcome="pending")
    assert carried(before, move) == [1]
    assert carried(before, move.model_copy(update={"tool": "edit"})) == [1, 2]
