"""The scripted student keeps the contract and goes wrong as it was told."""

from __future__ import annotations

import json

import pytest

from preceptor.agents.students import StudentOptions, make
from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core import parse
from preceptor.core.errors import InputError, StudentError
from preceptor.core.records import AdapterRef, ModelRef
from tests.contracts.student import EXAMPLES, FIELDS, StudentContract, calls_about


class TestScripted(StudentContract):
    @pytest.fixture
    def student(self) -> ScriptedStudent:
        return ScriptedStudent({"n1": {"pain": "present"}})


def test_answers_from_values_and_fills_in_the_rest() -> None:
    student = ScriptedStudent({"n1": {"pain": "present", "drugs": ["aspirin"]}})
    answer = parse.answer("n1", FIELDS, list(student.complete(calls_about(EXAMPLES[:1], "joint"))))
    assert answer.record == {"pain": "present", "dry mouth": "unknown", "drugs": ["aspirin"]}


def test_answers_from_a_function() -> None:
    student = ScriptedStudent(lambda call: json.dumps({call.fields[0].name: "absent"}))
    reply = next(iter(student.complete(calls_about(EXAMPLES[:1]))))
    assert parse.read(reply.raw, FIELDS[:1])[0] == {"pain": "absent"}


def test_goes_wrong_where_told() -> None:
    calls = calls_about(EXAMPLES[:1]) * 2
    student = ScriptedStudent({}, faults={0: "fail", 1: "truncate", 2: "garble", 4: "down"})
    replies = student.complete(calls)
    got = [next(replies) for _ in range(4)]
    with pytest.raises(StudentError):
        next(replies)
    assert [r.status for r in got] == ["failed", "truncated", "ok", "ok"]
    assert parse.read(got[2].raw, FIELDS[2:])[1] == {"drugs": "invalid"}


def test_make_knows_specs_and_refuses_others() -> None:
    script = StudentOptions(script={"n1": {"pain": "absent"}})
    student = make(ModelRef(spec="scripted"), options=script)
    assert '"absent"' in next(iter(student.complete(calls_about(EXAMPLES[:1])))).raw
    for spec in ("", "hf:", "ollama:", "scripted:x", "gpt", "http://x"):
        with pytest.raises(InputError, match=r"ollama:NAME"):
            make(ModelRef(spec=spec))
    with pytest.raises(InputError, match="no adapter"):
        make(ModelRef(spec="ollama:x"), AdapterRef(digest="d"))
