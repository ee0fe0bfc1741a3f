"""The contract of a Tool: what every implementation, ours or a plug-in's, must do.

A plug-in author subclasses ``ToolContract``, gives the ``tool`` and arguments that it takes:

    class TestMine(ToolContract):
        @pytest.fixture
        def tool(self):
            return MyTool()

        @pytest.fixture
        def good(self):
            return {"field": "nausea"}
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, Tool, ToolResult
from preceptor.core.record import digest
from preceptor.core.records import ToolCall
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import believes_everything, corpus, evidence_of


class ToolContract:
    @pytest.fixture
    def tool(self) -> Tool[Any]:
        raise NotImplementedError

    @pytest.fixture
    def good(self) -> dict[str, JsonValue]:
        raise NotImplementedError

    @pytest.fixture
    def evidence(self) -> Evidence:
        return evidence_of(corpus(), believes_everything)

    def test_says_what_it_is(self, tool: Tool[Any]) -> None:
        assert tool.name.isidentifier()
        assert len(tool.description) > 20
        (spec,) = Toolbox([tool]).specs()
        assert (spec.name, spec.changing) == (tool.name, tool.changing)
        assert spec.schema["additionalProperties"] is False
        json.dumps(spec.schema)

    def test_takes_good_arguments(
        self, tool: Tool[Any], good: dict[str, JsonValue], evidence: Evidence
    ) -> None:
        result = _run(tool, good, evidence)
        assert result.text.strip()
        assert (result.recipe is not None) == tool.changing
        if result.recipe is not None:
            assert result.recipe.fingerprint != evidence.recipe.fingerprint
            assert result.recipe.model.spec == evidence.recipe.model.spec

    def test_is_a_pure_function(
        self, tool: Tool[Any], good: dict[str, JsonValue], evidence: Evidence
    ) -> None:
        before = evidence.recipe.fingerprint
        assert _run(tool, good, evidence) == _run(tool, good, evidence)
        assert evidence.recipe.fingerprint == before

    def test_artefacts_are_named_by_content(
        self, tool: Tool[Any], good: dict[str, JsonValue], evidence: Evidence
    ) -> None:
        for name, data in _run(tool, good, evidence).artefacts.items():
            assert name == digest(data)

    def test_refuses_an_unknown_argument(self, tool: Tool[Any], good: dict[str, JsonValue]) -> None:
        with pytest.raises(InputError, match="no such argument"):
            Toolbox([tool]).validate(ToolCall(id="1", name=tool.name, args={**good, "zzz": 1}))

    def test_a_result_is_short_enough_to_read(
        self, tool: Tool[Any], good: dict[str, JsonValue], evidence: Evidence
    ) -> None:
        assert len(_run(tool, good, evidence).text) < 12_000


def _run(tool: Tool[Any], args: dict[str, JsonValue], evidence: Evidence) -> ToolResult:
    return Toolbox([tool]).run(ToolCall(id="1", name=tool.name, args=args), evidence)
