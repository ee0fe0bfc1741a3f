"""The parity gate's rule, with scripted students."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from preceptor.core import render
from preceptor.core.errors import InputError
from preceptor.core.fields import LabelField
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, Decoding, Example, ModelRef, Recipe, Reply
from preceptor.graphs import parity
from tests.graphs import small

TASK = small.task()
NOTES = TASK.examples[:20]
RECIPE = Recipe(model=ModelRef(spec="scripted"), decoding=Decoding(temperature=0.7))
CALLS = [c for note in NOTES for c in render.calls(RECIPE, TASK.fields, note)]


class Fixed:
    """Answers «yes»; other answers and token counts where it was told so."""

    ref, context = ModelRef(spec="scripted"), None

    def __init__(self, no: int = 0, longer: int = 0, failed: int = 0) -> None:
        self.no, self.longer, self.failed = no, longer, failed

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        assert all(c.decoding.temperature == 0 for c in calls)
        for i, call in enumerate(calls):
            said = "no" if i < self.no else "yes"
            raw = f'{{"{call.fields[0].name}": "{said}"}}'
            reply = Reply(call.key, raw, prompt_tokens=10 + (i < self.longer))
            yield replace(reply, raw="", status="failed") if i < self.failed else reply

    def close(self) -> None:
        pass


def check(served: Fixed, quantised: bool = False) -> parity.Parity:
    pair = Fixed(), served
    return parity.compare(CALLS, NOTES, TASK.fields, pair, route="raw", quantised=quantised)


def test_the_same_student_passes() -> None:
    found = check(Fixed())
    assert (found.objections, found.differences) == ([], ())
    assert found.score == found.served_score


def test_one_field_in_fifty_may_differ() -> None:
    assert check(Fixed(no=1)).objections == []
    assert check(Fixed(no=2)).objections == ["2 of 60 fields are answered otherwise"]
    assert check(Fixed(failed=2)).objections == ["2 of 60 fields are answered otherwise"]


def test_one_prompt_with_another_token_is_enough() -> None:
    found = check(Fixed(longer=1), quantised=True)
    assert found.objections == ["1 of 60 prompts have another number of tokens"]
    assert found.lines()[1] == "  n0 fever: tokens 10, 11"


def test_one_prompt_that_is_rendered_otherwise_is_enough() -> None:
    found = check(Fixed())
    assert found.model_copy(update={"texts_equal": 60}).objections == []
    other = found.model_copy(update={"texts_equal": 59})
    assert other.objections == ["1 of 60 prompts are rendered otherwise"]
    assert "59/60 prompts rendered alike" in other.lines()[0]


def test_quantised_weights_may_answer_otherwise_but_not_worse() -> None:
    gold = [str((c_note.gold or {})[f.name]) for c_note in NOTES for f in TASK.fields]
    wrong = next(i for i in range(61) if sum(1 if g == "yes" else -1 for g in gold[:i]) >= 3)
    assert "scores" in check(Fixed(no=wrong), quantised=True).objections[0]
    better = gold.index("yes")
    if better:
        assert check(Fixed(no=better), quantised=True).objections == []


def test_few_prompts_decide_nothing() -> None:
    with pytest.raises(InputError, match="39 prompts are too few"):
        parity.compare(CALLS[:39], NOTES[:13], TASK.fields, (Fixed(), Fixed()), route="raw")


class Saying:
    """Says what gold says of the first ``found`` findings, and that there is nothing elsewhere."""

    ref, context = ModelRef(spec="scripted"), None

    def __init__(self, notes: Sequence[Example], found: int) -> None:
        self.gold, self.found = {note.id: note.gold or {} for note in notes}, found

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        left = self.found
        for call in calls:
            name = call.fields[0].name
            said = self.gold[call.example_id][name] == "yes" and left > 0
            left -= said
            raw = f'{{"{name}": "{"yes" if said else "no"}"}}'
            yield Reply(call.key, raw, prompt_tokens=10)

    def close(self) -> None:
        pass


def test_a_quantised_model_that_finds_nothing_any_more_is_refused() -> None:
    """Of 400 fields six are not empty: two points of accuracy are more than all that there is."""
    fields = tuple(LabelField(name=f"f{k}", values=("yes", "no")) for k in range(10))
    notes = [
        Example(
            id=f"n{i}",
            group=f"p{i}",
            text="x",
            gold={f.name: "yes" if k == 0 and i < 6 else "no" for k, f in enumerate(fields)},
        )
        for i in range(40)
    ]
    calls = [c for note in notes for c in render.calls(RECIPE, fields, note)]

    def served(found: int) -> list[str]:
        pair = Saying(notes, 6), Saying(notes, found)
        return parity.compare(calls, notes, fields, pair, route="raw", quantised=True).objections

    assert served(0) == ["quantised, it surely finds less: recall -100.0 points"]
    assert served(5) == served(6) == []
