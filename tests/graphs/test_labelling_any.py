"""The voter ``teacher`` as a model that only LangChain knows: behind the gate, booked, kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from preceptor.agents import teacher
from preceptor.agents.servers.openai import OpenAIServer, completion
from preceptor.core.errors import InputError, StudentError
from preceptor.core.settings import Settings
from preceptor.graphs import labelling, wiring
from tests.graphs.test_labelling import OPTIONS, evidence, opened, unlabelled

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

LABELS = OPTIONS.model_copy(update={"labeller": "maker:big"})
ANY = "tests.graphs.test_labelling:private_task"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """Stand for a provider that is elsewhere."""
    with OpenAIServer([completion('{"fever": "yes"}')] * 99) as made:

        def chat_model(
            kind: str, name: str, url: str, options: teacher.TeacherOptions
        ) -> BaseChatModel:
            from langchain_openai import ChatOpenAI

            assert (kind, name, url) == ("maker", "big", "")
            key, base = SecretStr("none"), made.base_url
            return ChatOpenAI(model=name, base_url=base, api_key=key, max_retries=0)

        monkeypatch.setattr(teacher, "chat_model", chat_model)
        yield made


def test_it_votes_through_the_gate_and_is_asked_once(server: OpenAIServer, tmp_path: Path) -> None:
    options = LABELS.model_copy(update={"task": ANY})
    with opened(tmp_path, options, Settings()) as (session, labeller):
        seen, notes = evidence(session.task), unlabelled(session.task)
        votes = labeller(seen, notes)
        sent = b"".join(r.raw for r in server.requests)
        asked = len(server.requests)
        assert votes
        assert all(v.values.get("fever") == "yes" for v in votes)
        assert b"Fairweather" not in sent
        assert "Fairweather" in notes[0].text
        log = [json.loads(x) for x in (tmp_path / "run" / "egress.jsonl").read_text().splitlines()]
        assert log
        assert all(line["host"] == "maker.invalid" for line in log)
        spent = session.ledger.spent()
        assert spent["teacher_tokens"] == asked * 15
        assert session.ledger.unknown() == {"dollars": asked and 1}, "nobody said what it costs"
        assert len(labeller(seen, notes)) == len(votes)
        assert len(server.requests) == asked


@pytest.mark.usefixtures("server")
def test_where_nothing_may_leave_it_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is sent"):
        with opened(tmp_path, LABELS, Settings(egress="local-only")):
            pass
    assert not (tmp_path / "run").exists()


def test_a_provider_that_is_not_installed_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="model 'maker:big' cannot be set up"):
        with opened(tmp_path, LABELS, Settings()):
            pass
    assert not (tmp_path / "run").exists()


def test_the_teacher_labels_whoever_it_is() -> None:
    def model(name: str) -> str:
        return labelling.model_of(wiring.Options(task="any", student="nano", teacher=name))

    assert model("anthropic:some-model") == "anthropic:some-model"
    assert model("rules") == ""
