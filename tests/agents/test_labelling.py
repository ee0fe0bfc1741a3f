"""When weak labels are worth learning from, as the rule teacher reads it."""

from __future__ import annotations

import pytest

from preceptor.agents import labelling
from preceptor.agents.moves import Move
from preceptor.agents.rules import identity

HEAD = "Weak labels 0123456789abcdef0123: {} notes by keyword+mined, context+mined; all voters agree"


def said(notes: int, *fields: str) -> str:
    return "\n".join([HEAD.format(notes), "On the shown train notes:", *fields])


GOOD = "- fever: precision 0.95, recall 0.80 (20 in gold)"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (said(40, GOOD), True),
        (said(19, GOOD), False),
        (said(40, "- fever: precision 0.60, recall 0.90 (20 in gold)"), False),
        (said(40, "- fever: precision 0.95, recall 0.40 (20 in gold)"), False),
        (said(40, GOOD, "- rash: precision none said, recall 0.00 (2 in gold)"), True),
        (said(40, GOOD, "- rash: precision none said, recall 0.00 (20 in gold)"), False),
        (said(40, "- fever: precision none said, recall none there (0 in gold)"), False),
        (said(40), False),
    ],
)
def test_good_labels_are_many_precise_and_complete(text: str, good: bool) -> None:
    found = labelling.read(text)
    assert found is not None
    assert found.labels == "0123456789abcdef0123"
    assert found.good is good


def test_another_answer_is_none() -> None:
    assert labelling.read("there are no unlabelled notes on train's side") is None


def test_fresh_labels_make_no_other_move() -> None:
    tune = Move("fine_tune", "fine_tune", {"profile": "standard"}, 0.1, 0, "a guess")
    one, two = (labelling.with_labels(tune, labelling.Told(digit * 20, 40, 0.9, 0.9)) for digit in "ab")
    assert one.args != two.args
    assert identity(one.tool, one.args) == identity(two.tool, two.args)
    assert identity(one.tool, one.args) != identity(tune.tool, tune.args)
    assert not labelling.can_add(one)
