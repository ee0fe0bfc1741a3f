"""Hostile notes change no tool call and no other note's answer, and stay data for the teacher."""

from __future__ import annotations

import json
import re

import pytest

from preceptor.agents import brief, students
from preceptor.agents.rules import RuleTeacher
from preceptor.core.fields import LabelField
from preceptor.core.ports import Evidence
from preceptor.core.records import Call, Example, ModelRef, Recipe
from preceptor.core.render import calls
from preceptor.tools.look import CountNotes, ErrorsByField, Examples
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.teacher import FINISH, situation_of
from tests.core.test_hostile_quote import ACTIVE, UNSEEN
from tests.hostile.notes import NOTES

SMALL = {name: text for name, text in NOTES.items() if len(text) < 5000}
BOX = Toolbox([EditPrompt(), CountNotes(), ErrorsByField(), Examples()])


def with_note(text: str) -> Evidence:
    """Return evidence of a student that sees nothing, with one hostile note in it."""
    notes = list(corpus(40))
    gold = notes[3].gold
    notes[3] = Example(id="n3", group="p1", text=f"Reports nausea, queasy. {text}", gold=gold)
    return evidence_of(tuple(notes), blind)


def plain() -> Evidence:
    return with_note("")


@pytest.mark.parametrize("name", NOTES)
def test_the_rule_teacher_calls_the_same_tool_with_the_same_arguments(name: str) -> None:
    tools = (*BOX.specs(), FINISH)
    usual, seen = plain(), with_note(NOTES[name])
    wanted = RuleTeacher().turn(situation_of(usual), usual, [], tools).calls
    got = RuleTeacher().turn(situation_of(seen), seen, [], tools).calls
    assert [c.name for c in got] == [c.name for c in wanted]
    # A phrase must be shared by patients, so that one note alone brings none.
    assert [c.args for c in got] == [c.args for c in wanted]


@pytest.mark.parametrize("name", NOTES)
def test_brief_and_looks_show_it_as_data(name: str) -> None:
    seen = with_note(NOTES[name])
    system, user = brief.brief(situation_of(seen), seen, BOX.specs(), 10_000)
    look = BOX["examples"].run(BOX["examples"].args(field="nausea", kind="missed", n=6), seen).text
    for text in (user, look):
        body = re.sub(r"</?note>", "", text)
        assert not ACTIVE.search(body)
        assert not UNSEEN.search(body)
        assert text.count("<note>") == text.count("</note>")
    assert len(user) + len(system) <= 10_000 * brief.CHARS_PER_TOKEN
    assert len(look) < 6000


def test_tokens_of_every_template_are_text_to_the_embedded_students_tokenizer() -> None:
    transformers = pytest.importorskip("transformers")
    from preceptor.agents.students.chat import Chat
    from preceptor.nano import path

    tokenizer = transformers.AutoTokenizer.from_pretrained(path())
    chat = Chat(tokenizer)
    field = LabelField(name="fever", values=("yes", "no"))
    recipe = Recipe(model=ModelRef(spec="nano"))

    def specials(text: str) -> int:
        (call,) = calls(recipe, (field,), Example(id="n", group="p", text=text))
        (ids,) = chat.ids([call.messages])
        return sum(i in tokenizer.all_special_ids for i in ids)

    usual = specials("He is well.")
    assert {name: specials(text) for name, text in SMALL.items()} == dict.fromkeys(SMALL, usual)


@pytest.mark.slow
def test_no_other_notes_answer_changes_in_the_same_batch() -> None:
    pytest.importorskip("torch")
    field = LabelField(name="fever", values=("yes", "no"))
    recipe = Recipe(model=ModelRef(spec="nano"))
    tame = [
        Example(id=f"t{i}", group=f"t{i}", text=f"He was burning up for {i} days.") for i in range(4)
    ]
    wild = [Example(id=name, group=name, text=text) for name, text in list(SMALL.items())[::6]]

    def asked(notes: list[Example]) -> list[Call]:
        return [call for note in notes for call in calls(recipe, (field,), note)]

    student = students.make(ModelRef(spec="nano"), options=students.StudentOptions(threads=1))
    try:
        alone = {r.key: r.raw for r in student.complete(asked(tame))}
        among = {r.key: r.raw for r in student.complete(asked([*wild, *tame]))}
    finally:
        student.close()
    assert {key: among[key] for key in alone} == alone
    assert len(among) == len(tame) + len(wild)
    for raw in among.values():
        assert json.loads(raw)["fever"] in ("yes", "no")
