"""Notes that surely do not fit a student are refused before anything is asked; others are not."""

from __future__ import annotations

import pytest

from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core.errors import InputError
from preceptor.core.records import Example, Recipe
from preceptor.evals.task import Task
from preceptor.graphs import fits
from tests.graphs import small


def check(text: str) -> None:
    task = small.task()
    note = Example(id="long", group="long", text=text, gold=task.examples[0].gold)
    one = Task(name="one", fields=task.fields, examples=(note,), split=task.split, synthetic=True)
    student = ScriptedStudent({})
    student.context = 512
    fits.check(student, Recipe(model=student.ref), one)


@pytest.mark.parametrize(
    "text",
    [
        ("Sodium" + " " * 60 + "140" + " " * 60 + "mmol/l\n" + "-" * 80 + "\n") * 30,
        "मरीज ने पिछली मुलाकात के बाद हल्की थकान बताई है। " * 40,
    ],
    ids=["blanks", "hi"],
)
def test_a_text_with_many_characters_for_a_token_may_fit(text: str) -> None:
    check(text)


def test_what_surely_is_too_long_is_refused_by_its_id() -> None:
    with pytest.raises(InputError, match=r"note 'long' does not fit: .* the student reads 512"):
        check("4.1 102/24 7.41 38.2 92 " * 400)
