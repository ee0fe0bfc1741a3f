"""The contract of an Evaluator: whoever runs recipes over notes.

Subclass ``EvaluatorContract``; ``make`` gives an evaluator of ``FIELDS`` that asks a student.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core.ports import Cancel, Evaluator, Progress, Student
from preceptor.core.records import Call, ModelRef, Prompt, Recipe, Reply
from tests.contracts.evidence import FIELDS, corpus

Make = Callable[[Student], Evaluator]
RECIPE = Recipe(model=ModelRef(spec="scripted"))


class Counting:
    """A scripted student that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._inner = ScriptedStudent({})
        self.ref = self._inner.ref
        self.context = self._inner.context

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        self.asked += [call.example_id for call in calls]
        yield from self._inner.complete(calls, cancel)

    def close(self) -> None:
        self._inner.close()


class EvaluatorContract:
    @pytest.fixture
    def make(self) -> Make:
        raise NotImplementedError

    def test_answers_stand_in_the_order_of_the_notes(self, make: Make) -> None:
        notes = corpus(30)[::-1]
        answers = make(Counting()).answers(RECIPE, notes)
        assert [a.example_id for a in answers] == [e.id for e in notes]

    def test_scores_stand_in_the_order_of_the_notes(self, make: Make) -> None:
        notes = corpus(30)[::-1]
        found = make(Counting()).evaluate(RECIPE, notes, "dev")
        assert found.split == "dev"
        assert found.recipe == RECIPE.fingerprint
        assert [s.example_id for s in found.scored] == [e.id for e in notes]
        assert all(0.0 <= s.score <= 1.0 for s in found.scored)

    def test_nothing_is_asked_twice(self, make: Make) -> None:
        student, notes = Counting(), corpus(20)
        evaluator = make(student)
        first = evaluator.answers(RECIPE, notes)
        asked = len(student.asked)
        assert asked == len(notes) * len(FIELDS)
        assert evaluator.answers(RECIPE, notes[::-1]) == first[::-1]
        assert len(student.asked) == asked

    def test_another_recipe_is_asked_again(self, make: Make) -> None:
        student, notes = Counting(), corpus(5)
        evaluator = make(student)
        evaluator.answers(RECIPE, notes)
        other = RECIPE.model_copy(update={"prompt": Prompt(instruction="Other words.")})
        evaluator.answers(other, notes)
        assert len(student.asked) == 2 * len(notes) * len(FIELDS)

    def test_progress_ends_at_the_total(self, make: Make) -> None:
        seen: list[Progress] = []
        make(Counting()).answers(RECIPE, corpus(12), seen.append)
        assert (seen[-1].done, seen[-1].total) == (12, 12)
        assert [p.done for p in seen] == sorted(p.done for p in seen)

    def test_no_notes_are_no_answers(self, make: Make) -> None:
        assert make(Counting()).answers(RECIPE, []) == []
