"""The toolbox refuses twins, loose arguments and unknown names."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, JsonValue

from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, ToolResult
from preceptor.core.records import ToolCall
from preceptor.tools.look import CountNotes, ErrorsByField, Examples
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import blind, corpus, evidence_of


class Loose(BaseModel):
    x: int = 0


class LooseTool:
    name = "loose"
    description = "Takes anything at all, silently."
    changing = False
    args = Loose

    def run(self, args: Loose, evidence: Evidence) -> ToolResult:
        return ToolResult("done")


def test_names_are_unique_and_arguments_closed() -> None:
    with pytest.raises(InputError, match="two tools"):
        Toolbox([CountNotes(), CountNotes()])
    with pytest.raises(InputError, match="any argument"):
        Toolbox([LooseTool()])


def test_tools_are_listed_in_their_order() -> None:
    box = Toolbox([EditPrompt(), ErrorsByField(), CountNotes()])
    assert [s.name for s in box.specs()] == ["edit_prompt", "errors_by_field", "count_notes"]
    assert [s.changing for s in box.specs()] == [True, False, False]
    assert "count_notes" in box
    assert "zap" not in box


def test_an_unknown_tool_names_the_tools() -> None:
    with pytest.raises(InputError, match="count_notes"):
        Toolbox([CountNotes()]).run(ToolCall(id="1", name="zap"), evidence_of(corpus(2), blind))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({}, "field: Field required; kind: Field required"),
        ({"field": "nausea", "kind": "odd"}, "kind: Input should be"),
        ({"field": "nausea", "kind": "missed", "n": "many"}, "n: Input should be"),
        ({"field": "nausea", "kind": "missed", "m": 1}, "m: there is no such argument"),
    ],
)
def test_wrong_arguments_come_with_the_right_signature(args: dict[str, JsonValue], says: str) -> None:
    with pytest.raises(InputError) as caught:
        Toolbox([Examples()]).validate(ToolCall(id="1", name="examples", args=args))
    assert says in caught.value.message
    assert caught.value.hint.startswith("examples(field, kind, n=3")
    assert "many" not in str(caught.value)
