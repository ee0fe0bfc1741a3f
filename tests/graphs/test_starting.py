"""What a run settles before its first answer: how the student is asked, and how long it may answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.agents.servers.ollama import OllamaServer, from_format
from preceptor.agents.servers.openai import OpenAIServer, completion
from preceptor.agents.servers.scripted import Body
from preceptor.cli import plan as plan_words
from preceptor.core.errors import InputError, StudentError
from preceptor.core.fields import ListField
from preceptor.core.records import Decoding, Example, ModelRef, Recipe
from preceptor.core.settings import load
from preceptor.evals import check
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import planning, refine, starting, wiring
from tests.graphs import small

STARTING = "tests.graphs.test_starting:charts"


def charts() -> Task:
    """Return a synthetic task whose gold is longer than an open list's items are taken to be."""
    drugs = ListField(name="drugs", of="drugs with dose and scheme", max_items=6)
    notes = []
    for i in range(60):
        said = [f"Examplopril-{i + n},5 mg 1-0-1-0 p.o. (12.3.2019, 8:15, 20:15)" for n in range(6)]
        notes.append(Example(id=f"n{i}", group=f"p{i}", text="; ".join(said), gold={"drugs": [*said]}))
    split = SplitSpec(train=24, dev=18, test=18)
    return Task(name="charts", fields=(drugs,), examples=tuple(notes), split=split, synthetic=True)


def test_the_limit_follows_from_the_schema_and_a_setting_overrides_it(tmp_path: Path) -> None:
    model = ModelRef(spec="openai:x")
    many = charts().fields[0].model_copy(update={"max_items": 40})
    wide = charts().model_copy(update={"fields": (many,)})
    assert starting.recipe(small.task(), model) == Recipe(
        model=model, prompt=small.task().prompt, mode="per_field", decoding=Decoding(max_tokens=256)
    )
    assert starting.recipe(wide, model).decoding.max_tokens > 1000
    set_by = load(None, {"PRECEPTOR_MAX_TOKENS": "77"}, {})
    options = wiring.options(set_by, {"task": "tests.graphs.small:task", "student": "simulated"})
    with small.opened(tmp_path, options) as session:
        assert session.start.decoding.max_tokens == 77


def test_check_plan_and_run_say_that_gold_does_not_fit(tmp_path: Path) -> None:
    told = "gold itself does not fit the answer limit of 256 tokens"
    assert any(told in line for line in check.check(charts()).warnings)
    assert not any("answer limit" in w for w in check.check(charts(), max_tokens=800).warnings)
    options = small.OPTIONS.model_copy(update={"task": STARTING})
    assert told in plan_words.text(planning.plan(options, small.SETTINGS))
    with pytest.raises(InputError, match=told) as refused, small.opened(tmp_path, options):
        pass
    assert "--set max_tokens=" in str(refused.value)
    assert not list(tmp_path.iterdir())


def thinking(body: Body) -> str:
    """Answer as a model whose schema is dropped when it may not think."""
    return from_format(body) if body.get("think") else "He has it, I would say."


def test_the_recipe_keeps_the_way_that_worked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = small.OPTIONS.model_copy(update={"student": "ollama:scripted"})
    with OllamaServer(thinking) as server:
        server.thinks.add("scripted:latest")
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with small.opened(tmp_path, options) as session:
            assert session.start.decoding.think == "on"
            tried = len(server.asked)
            list(session.evaluator.answers(session.start, session.examples(session.splits.dev)))
        assert all(body["think"] is True for body in server.asked[tried:])
        with small.opened(tmp_path) as again:
            assert again.start.decoding.think == "on"


def test_a_model_with_no_readable_answer_leaves_no_run_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = small.OPTIONS.model_copy(update={"student": "ollama:scripted"})
    with OllamaServer(lambda body: "I would rather not.") as server:
        server.thinks.add("scripted:latest")
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with (
            pytest.raises(StudentError, match="thinking aloud or not"),
            small.opened(tmp_path, options),
        ):
            pass
    assert not list(tmp_path.iterdir())


def chatty(body: Body) -> Body:
    asked = json.dumps(body["messages"])
    name = next(name for name in small.FORMS if f'Field: \\"{name}' in asked.replace('\\\\"', '\\"'))
    return completion(f'Sure! {{"{name}": "yes"}}')


@pytest.mark.parametrize(
    ("schemas", "says"),
    [
        (True, "the server does not force the schema (30 of 30"),
        (False, "the server refuses the schema"),
    ],
)
def test_a_run_and_its_report_say_what_became_of_the_schema(
    schemas: bool, says: str, tmp_path: Path
) -> None:
    with OpenAIServer([chatty] * 9999, schemas=schemas) as server:
        options = small.OPTIONS.model_copy(
            update={"student": f"openai:x@{server.base_url}", "moves": ("edit_prompt",)}
        )
        options = options.model_copy(update={"limits": options.limits.model_copy(update={"rounds": 1})})
        with small.opened(tmp_path, options) as session:
            refine.run(session)
            (event,) = [e.data for e in session.store.trace if e.kind == "baseline"]
    assert event["schema"]
    assert says in (tmp_path / "run/report.txt").read_text("utf-8")
