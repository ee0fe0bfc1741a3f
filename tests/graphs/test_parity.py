"""The parity gate's rule, with scripted students."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.core import render
from preceptor.core.errors import InputError
from preceptor.core.fields import LabelField
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, Decoding, Example, ModelRef, Recipe, Reply
from preceptor.graphs import parity, ties
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
            said = self.gold[call.example_id.partition("\0")[0]][name] == "yes" and left > 0
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


class Torn(Fixed):
    """Answers as ``Fixed``, and tells how sure it is of the first of two values."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.choices: list[tuple[str, ...]] = []

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        for call, reply in zip(calls, super().complete(calls), strict=True):
            [field] = call.fields
            assert isinstance(field, LabelField)
            self.choices += [field.values]
            yield replace(reply, probability=self.share)


def test_a_near_tie_of_quantised_weights_is_no_fault() -> None:
    """The same answers, half of them other than the trained model's: what counts is how sure it was."""
    gold = [str((note.gold or {})[f.name]) for note in NOTES for f in TASK.fields]
    wrong = next(i for i in range(61) if sum(1 if g == "yes" else -1 for g in gold[:i]) >= 3)

    def found(share: float, quantised: bool = True) -> parity.Parity:
        pair = Torn(share), Fixed(no=wrong)
        made = parity.compare(CALLS, NOTES, TASK.fields, pair, route="raw", quantised=quantised)
        assert pair[0].choices[60:] == ([("yes", "no")] * wrong if quantised else [])
        return made

    sure, torn = found(0.7), found(0.6)
    assert "scores" in sure.objections[0]
    assert (sure.ties, sure.fields_equal) == (0, 60 - wrong)
    assert (torn.objections, torn.ties, torn.fields_equal) == ([], wrong, 60 - wrong)
    assert torn.served_score == torn.score
    assert f"{60 - wrong}/60 fields equal and {wrong} near ties" in torn.lines()[0]
    assert torn.lines()[1].endswith("differs: fever; near ties: fever")
    assert found(0.6, quantised=False).objections, "whole weights must answer alike"


def test_near_ties_are_found_in_process_also_where_all_fields_are_asked_at_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from preceptor.agents.students import StudentOptions
    from preceptor.agents.students.hf import HFStudent
    from tests.agents.students import tiny

    student = HFStudent(str(tiny.save("llama", tmp_path / "m")), options=StudentOptions(threads=1))
    recipe = RECIPE.model_copy(update={"mode": "joint", "decoding": Decoding(max_tokens=40)})
    calls = [c for note in NOTES[:4] for c in render.calls(recipe, TASK.fields, note)]
    mine = {r.key: r for r in student.complete(calls)}
    other = {"yes": "no", "no": "yes"}
    swapped = {}
    for call in calls:
        said = ties.values(call, mine[call.key])
        turned = {name: other[str(value)] for name, value in said.items()}
        swapped[call.key] = replace(mine[call.key], raw=json.dumps(turned))
    for key, names in ties.find(calls, mine, swapped, student).items():
        assert set(names) < set(key[1]), "a random model is sure of most of its answers"
    shares = []
    for call in calls:
        [first] = student.complete([replace(call, fields=call.fields[:1])])
        shares.append(first.probability or 0)
    by_field = ties.find(calls, mine, swapped, student)
    firsts = [TASK.fields[0].name in by_field.get(call.key, ()) for call in calls]
    assert firsts == [share / (1 - share) <= 2 for share in shares]
