"""The contract of a Teacher: what every implementation, ours or a plug-in's, must do.

A plug-in author subclasses ``TeacherContract`` and gives the ``teacher``.
"""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from preceptor.core.ports import Evidence, Teacher, ToolSpec
from preceptor.core.record import canonical
from preceptor.core.records import Finding, Interval, Situation, TeacherTurn
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import FIELDS, blind, corpus, evidence_of

FINISH = ToolSpec(
    "finish",
    "End the run.",
    {
        "type": "object",
        "properties": {"reason": {"type": "string"}},
        "required": ["reason"],
        "additionalProperties": False,
    },
    changing=False,
)


def situation_of(evidence: Evidence, **more: object) -> Situation:
    """Return the situation of a first round."""
    mean = sum(s.score for s in evidence.scored) / max(len(evidence.scored), 1)
    score = Interval(value=mean, low=max(0.0, mean - 0.1), high=min(1.0, mean + 0.1))
    found = []
    for field in evidence.fields:
        ids = tuple(s.example_id for s in evidence.scored if s.fields.get(field.name) == 0.0)
        if ids:
            total = len(evidence.scored)
            found.append(
                Finding(kind="missed", field=field.name, count=len(ids), total=total, example_ids=ids)
            )
    base = {"round": 1, "rounds_left": 7, "looks_left": 4, "score": score, "findings": tuple(found)}
    fields = {f.name: score for f in evidence.fields}
    return Situation.model_validate({**base, "fields": fields, **more})


class TeacherContract:
    @pytest.fixture
    def teacher(self) -> Teacher:
        raise NotImplementedError

    @pytest.fixture
    def evidence(self) -> Evidence:
        return evidence_of(corpus(), blind)

    @pytest.fixture
    def tools(self) -> tuple[ToolSpec, ...]:
        return (*Toolbox([EditPrompt()]).specs(), FINISH)

    def test_has_a_name(self, teacher: Teacher) -> None:
        assert teacher.name

    def test_a_turn_is_an_ai_message_with_its_calls(
        self, teacher: Teacher, evidence: Evidence, tools: tuple[ToolSpec, ...]
    ) -> None:
        turn = teacher.turn(situation_of(evidence), evidence, [], tools)
        assert turn.message["type"] == "ai"
        data = turn.message["data"]
        assert isinstance(data, dict)
        kept = data["tool_calls"]
        assert isinstance(kept, list)
        assert [(c["name"], c["args"]) for c in kept if isinstance(c, dict)] == [
            (c.name, c.args) for c in turn.calls
        ]
        assert {c.name for c in turn.calls} <= {t.name for t in tools}

    def test_a_turn_survives_the_store(
        self, teacher: Teacher, evidence: Evidence, tools: tuple[ToolSpec, ...]
    ) -> None:
        turn = teacher.turn(situation_of(evidence), evidence, [], tools)
        assert TeacherTurn.from_json(turn.to_json()) == turn
        from langchain_core.messages import AIMessage, messages_from_dict

        (message,) = messages_from_dict([dict(turn.message)])
        assert isinstance(message, AIMessage)
        assert [c["name"] for c in message.tool_calls] == [c.name for c in turn.calls]

    def test_changes_nothing_that_it_is_shown(
        self, teacher: Teacher, evidence: Evidence, tools: tuple[ToolSpec, ...]
    ) -> None:
        situation = situation_of(evidence)
        transcript: list[dict[str, JsonValue]] = []
        before = situation.fingerprint, evidence.recipe.fingerprint, canonical(transcript)
        teacher.turn(situation, evidence, transcript, tools)
        assert (situation.fingerprint, evidence.recipe.fingerprint, canonical(transcript)) == before

    def test_goes_on_from_a_transcript(
        self, teacher: Teacher, evidence: Evidence, tools: tuple[ToolSpec, ...]
    ) -> None:
        from langchain_core.messages import ToolMessage, messages_to_dict

        first = teacher.turn(situation_of(evidence), evidence, [], tools)
        told = [
            messages_to_dict([ToolMessage("patch 1: refused", tool_call_id=c.id, name=c.name)])[0]
            for c in first.calls
        ]
        again = teacher.turn(situation_of(evidence), evidence, [first.message, *told], tools)
        assert again.message["type"] == "ai"


__all__ = ["FIELDS", "FINISH", "TeacherContract", "situation_of"]
