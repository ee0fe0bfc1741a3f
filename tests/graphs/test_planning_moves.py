"""The plan against runs that train, that index, and that a chat model teaches."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from preceptor import nano
from preceptor.agents.servers.openai import OpenAIServer, completion, tool_call
from preceptor.agents.servers.scripted import Body
from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.core.settings import LabellerSettings, Settings
from preceptor.core.trace import read
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import planning, refine, wiring
from preceptor.graphs.gates import GateConfig
from preceptor.graphs.session import Limits, Session
from preceptor.tools.sft.job import Result
from tests.graphs import small
from tests.graphs.small import SETTINGS

needs_nano = pytest.mark.skipif(
    not (nano.path() / "model.safetensors").exists(), reason="no weights are shipped"
)


def _note(i: int) -> Example:
    """Return a note of the small task with words of its own, so that no two are alike."""
    made, r = small._note(i), Random(1000 + i)
    words = [
        "".join(r.choice(("ba", "di", "ku", "lo", "me", "ra")) for _ in range(3)) for _ in range(14)
    ]
    return made.model_copy(update={"text": f"{made.text} Seen at {' '.join(words)}."})


def task(train: int = 66) -> Task:
    """Return a task of which no two notes are alike."""
    fields = tuple(LabelField(name=name, values=("yes", "no")) for name in small.FORMS)
    notes = tuple(map(_note, range(train + 50)))
    split = SplitSpec(train=train, dev=30, test=20)
    return Task(name="distinct", fields=fields, examples=notes, split=split, synthetic=True)


def few() -> Task:
    """Return one with few notes, and some that nobody has labelled."""
    made = task(30)
    more = tuple(
        _note(i).model_copy(update={"id": f"u{i}", "group": f"u{i}", "gold": None})
        for i in range(300, 320)
    )
    return made.model_copy(update={"examples": (*made.examples, *more)})


def options(name: str, **update: object) -> wiring.Options:
    given: dict[str, object] = {
        "task": f"tests.graphs.test_planning_moves:{name}",
        "student": "nano",
        "limits": Limits(rounds=3, plateau=3),
        "gate": GateConfig(looks=3),
        **update,
    }
    return wiring.Options.model_validate(given)


def within(said: float, was: float) -> bool:
    return was / 2 <= said <= was * 2


def student_tokens(session: Session) -> int:
    """Return the tokens of all answers that the run asked for."""
    rows = session.store.cache._connection.execute("SELECT answer FROM answers").fetchall()
    found = [json.loads(row[0]) for row in rows]
    return sum(a.get("prompt_tokens", 0) + a.get("completion_tokens", 0) for a in found)


def trained(session: Session) -> list[Result]:
    """Return what came of each training of the run."""
    files = (session.store.path / "training").rglob("result.json")
    return [Result.from_json(file.read_bytes()) for file in files]


@needs_nano
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("task", ("fine_tune",)),
        ("few", ()),
        ("few", ("fine_tune",)),
        ("few", ("index_examples",)),
    ],
    ids=["trains", "few notes, all moves", "too few to train", "indexes"],
)
def test_calls_tokens_and_trainings_of_the_embedded_student(
    name: str, moves: tuple[str, ...], tmp_path: Path
) -> None:
    asked = options(name, moves=moves)
    said = planning.plan(asked, SETTINGS)
    with wiring.create(asked, tmp_path, "run", SETTINGS) as session:
        refine.run(session)
        spent = session.ledger.spent()
        done = trained(session)
        calls, tokens = spent["student_calls"], student_tokens(session)
    assert calls <= said.worst.student_calls
    if all(result.learned for result in done):
        assert within(said.likely.student_calls, calls)
        assert within(said.likely.student_tokens, tokens)
    else:  # There is no candidate to be asked.
        assert calls <= said.likely.student_calls
        assert tokens <= said.likely.student_tokens
    assert said.likely.trainings == len(done) == (name == "task")
    assert within(said.likely.training_tokens, sum(result.tokens for result in done))
    assert said.likely.training_seconds is not None
    assert (said.likely.training_seconds > 0) is (name == "task")
    assert bool(said.training) is (name == "few" and moves != ("index_examples",))


@pytest.mark.parametrize(("rounds", "likely"), [(3, 0), (4, 1)])
def test_beside_other_moves_a_training_takes_some_rounds_to_come(rounds: int, likely: int) -> None:
    pytest.importorskip("trl", reason="pip install preceptor[local]")
    limits = Limits(rounds=rounds, plateau=rounds)
    said = planning.plan(options("task", limits=limits), SETTINGS)
    assert (said.likely.trainings, said.worst.trainings) == (likely, 1)


def _counting(body: Body) -> Body:
    """Teach, and say the true size of what was read as usage."""
    said = body["messages"]
    assert isinstance(said, list)
    read = len(json.dumps(body, ensure_ascii=False)) // 4
    looked = any(isinstance(m, dict) and m.get("role") == "tool" for m in said)
    if not looked:
        call = tool_call("errors_by_field", {}, "c1")
    else:
        r = Random(read)
        phrase = r.choice([form for forms in small.FORMS.values() for form in forms])
        field = next(name for name, forms in small.FORMS.items() if phrase in forms)
        rule = f"Variant {r.randint(0, 10**9)} counts."
        patches = [
            {"kind": "add_look_for", "field": field, "phrases": [phrase]},
            {"kind": "add_rule", "field": field, "text": rule},
        ]
        call = tool_call("edit_prompt", {"patches": patches}, "c2")  # type: ignore[dict-item]
    written = len(json.dumps(call)) // 4
    return completion(calls=[call], usage=(read, written))


@pytest.mark.parametrize("name", ["small", "distinct"])
def test_the_tokens_of_a_chat_teacher_come_from_a_brief_of_the_task(name: str, tmp_path: Path) -> None:
    with OpenAIServer(iter(lambda: _counting, None)) as server:
        where = {
            "small": "tests.graphs.small:task",
            "distinct": "tests.graphs.test_planning_moves:task",
        }
        asked = options(
            "task", task=where[name], student="simulated", teacher=f"openai:big@{server.base_url}"
        )
        said = planning.plan(asked, SETTINGS)
        with wiring.create(asked, tmp_path, "run", SETTINGS) as session:
            refine.run(session)
            spent = session.ledger.spent()
            turns = len([e for e in read(session.store.trace.path) if e.kind == "turn"])
    assert within(said.likely.teacher_turns, turns)
    assert within(said.likely.teacher_tokens, spent["teacher_tokens"])
    assert spent["teacher_tokens"] <= said.worst.teacher_tokens
    assert within(said.likely.student_calls, spent["student_calls"])


def test_a_larger_task_has_a_larger_brief() -> None:
    sizes = [
        planning.plan(
            options("few", task=name, student="simulated", teacher="openai:gpt-4o"), SETTINGS
        ).turn_tokens
        for name in ("tests.graphs.small:task", "toxicity")
    ]
    assert 1000 < sizes[0] < sizes[1] < 18_000


@needs_nano
def test_what_labels_would_cost_is_told_beside_the_run() -> None:
    settings = Settings(labeller=LabellerSettings(batch_from=10))
    one = planning.plan(options("few", teacher="openai:gpt-4o"), settings).labels
    assert one is not None
    assert (one.notes, one.calls, one.batch) == (20 + 20, 120, True)
    never = Settings(labeller=LabellerSettings(batch="never"))
    dear = planning.plan(options("few", teacher="openai:gpt-4o"), never).labels
    assert dear is not None
    assert one.dollars is not None
    assert dear.dollars == pytest.approx(2 * one.dollars)
    assert planning.plan(options("few"), settings).labels is None
    assert planning.plan(options("task", teacher="openai:gpt-4o"), settings).labels is None
