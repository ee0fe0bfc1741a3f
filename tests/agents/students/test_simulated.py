"""The simulated student errs exactly as its spec says, and only what the prompt holds counts."""

from __future__ import annotations

import random

import pytest

from preceptor.agents.students.simulated import (
    Need,
    SimulatedSpec,
    SimulatedStudent,
    covers,
    demo_spec,
)
from preceptor.core import parse, render
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import AdapterRef, Example, Gold, Guide, ModelRef, Prompt, Recipe, Shot
from tests.contracts.student import EXAMPLES, StudentContract

PAIN: tuple[FieldSpec, ...] = (LabelField(name="pain", values=("present", "absent", "unknown")),)
BOTH: tuple[FieldSpec, ...] = (*PAIN, LabelField(name="nausea", values=("yes", "no")))
SPEC = SimulatedSpec(needs=(Need(field="pain", phrase="burning"),), length_cost=0.0)


class TestSimulated(StudentContract):
    @pytest.fixture
    def student(self) -> SimulatedStudent:
        return SimulatedStudent(EXAMPLES, SPEC)


def notes(count: int = 400) -> list[Example]:
    rng = random.Random(0)
    made = []
    for i in range(count):
        hurts = rng.random() < 0.5
        text = f"Visit {i}. " + ("A burning feeling at night." if hurts else "Sleeps well.")
        gold: Gold = {"pain": "present" if hurts else "unknown", "nausea": "no"}
        made.append(Example(id=f"n{i}", group=f"p{i // 2}", text=text, gold=gold))
    return made


def recipe(**guide: tuple[str, ...]) -> Recipe:
    prompt = Prompt(guides={"pain": Guide(**guide)})  # type: ignore[arg-type]
    return Recipe(model=ModelRef(spec="simulated"), prompt=prompt)


def right(student: SimulatedStudent, how: Recipe, given: list[Example]) -> list[bool]:
    calls = [c for e in given for c in render.calls(how, PAIN, e)]
    said = [parse.read(r.raw, PAIN)[0] for r in student.complete(calls)]
    return [s["pain"] == (e.gold or {})["pain"] for s, e in zip(said, given, strict=True)]


def test_probability_follows_the_documented_formula() -> None:
    student = SimulatedStudent(notes(), SPEC)
    hard = next(e for e in notes() if "burning" in e.text)
    easy = next(e for e in notes() if "burning" not in e.text)

    def p(how: Recipe, example: Example) -> float:
        return student.probability(render.calls(how, PAIN, example)[0], PAIN[0])

    assert p(recipe(), easy) == pytest.approx(0.85)
    assert p(recipe(), hard) == pytest.approx(0.40)
    assert p(recipe(look_for=("burning",)), hard) == pytest.approx(0.85)
    assert p(recipe(rules=("a burning feeling counts",)), hard) == pytest.approx(0.85)
    assert p(recipe(rules=("ignore the weather",)), hard) == pytest.approx(0.40 - 0.006)
    shot = Shot(example_id="x", group="y", text="Burning again", answer={"pain": "present"})
    shown = recipe().model_copy(update={"shots": (shot,)})
    assert p(shown, hard) == pytest.approx(0.40 + 0.7 * 0.45)
    assert p(shown, easy) == pytest.approx(0.85)


@pytest.mark.parametrize("version", [3, 4, 5])
def test_one_call_for_all_fields_is_read_like_a_call_for_each(version: int) -> None:
    student = SimulatedStudent(notes(), SPEC)
    hard = next(e for e in notes() if "burning" in e.text)
    shot = Shot(example_id="x", group="y", text="Burning again", answer={"pain": "present"})
    plain, told = recipe(), recipe(look_for=("burning",))
    for one in (plain, told, plain.model_copy(update={"shots": (shot,)})):
        whole = one.model_copy(update={"mode": "joint", "render_version": version})
        (call,) = render.calls(whole, BOTH, hard)
        wanted = student.probability(render.calls(one, BOTH, hard)[0], BOTH[0])
        assert student.probability(call, BOTH[0]) == pytest.approx(wanted)
        assert student.probability(call, BOTH[1]) == pytest.approx(0.85)


def test_adapter_and_length_count() -> None:
    spec = SPEC.model_copy(update={"adapters": {"a": 300}, "length_cost": 0.01, "comfort": 10})
    call = render.calls(recipe(), PAIN, notes()[0])[0]
    size = sum(len(m.content) for m in call.messages)
    plain, tuned = (SimulatedStudent(notes(), spec, a) for a in (None, AdapterRef(digest="a")))
    cost = 0.01 * (size - 10) / 100
    base = plain.probability(call, PAIN[0]) + cost
    expected = base + 0.6 * (1 - 2.718281828**-1) * (1 - base) - cost
    assert tuned.probability(call, PAIN[0]) == pytest.approx(expected)


def test_share_of_right_answers_is_the_probability_and_changes_are_paired() -> None:
    given = [e for e in notes(2000) if "burning" in e.text]
    student = SimulatedStudent(given, SPEC)
    before, after = (
        right(student, recipe(), given),
        right(student, recipe(look_for=("burning",)), given),
    )
    assert sum(before) / len(given) == pytest.approx(0.40, abs=0.05)
    assert sum(after) / len(given) == pytest.approx(0.85, abs=0.05)
    assert not any(b and not a for b, a in zip(before, after, strict=True))


def test_a_trap_makes_worse() -> None:
    trap = SPEC.model_copy(update={"needs": (Need(field="pain", phrase="burning", lift=-0.3),)})
    given = [e for e in notes() if "burning" in e.text]
    student = SimulatedStudent(given, trap)
    assert sum(right(student, recipe(look_for=("burning",)), given)) < sum(
        right(student, recipe(), given)
    )


def test_other_fields_do_not_feel_a_rule() -> None:
    student = SimulatedStudent(notes(), SPEC)
    joint = recipe(look_for=("burning",)).model_copy(update={"mode": "joint"})
    for how in (recipe(), joint):
        call = render.calls(how, BOTH, notes()[0])[0]
        assert student.probability(call, BOTH[1]) == pytest.approx(0.85)


def test_seed_decides_who_errs() -> None:
    given = notes()
    one, same = (right(SimulatedStudent(given, SPEC), recipe(), given) for _ in range(2))
    other = SPEC.model_copy(update={"seed": 1})
    assert one == same
    assert right(SimulatedStudent(given, other), recipe(), given) != one


def test_demo_spec_finds_what_is_in_the_corpus_and_leaves_room_to_learn() -> None:
    given = notes()
    spec = demo_spec(given, PAIN)
    phrases = [n.phrase for n in spec.needs]
    assert any("burning" in p for p in phrases)
    assert not any("sleeps" in p for p in phrases)
    student = SimulatedStudent(given, spec)
    hard = [e for e in given if "burning" in e.text]
    learnt = recipe(look_for=tuple(phrases))
    assert sum(right(student, learnt, hard)) > 1.5 * sum(right(student, recipe(), hard))


@pytest.mark.parametrize(
    ("entry", "phrase", "expected"),
    [
        ("burning", "burning", True),
        ("a burning pain", "burning", True),
        ("heartburning", "burning", False),
        ("dry", "dry mouth", False),
        ("mouth", "dry mouth", True),
    ],
)
def test_covers(entry: str, phrase: str, expected: bool) -> None:
    assert covers(entry, phrase) is expected


def test_what_it_gets_wrong_of_a_closed_list_is_still_one_of_its_values() -> None:
    field = ListField(name="aids", values=("cane", "walker"))
    given = [
        Example(id=f"n{i}", group="p", text=f"Visit {i}.", gold={"aids": ["cane"] if i % 2 else []})
        for i in range(40)
    ]
    student = SimulatedStudent(given, SimulatedSpec(default_skill=0.3))
    calls = [c for e in given for c in render.calls(recipe(), [field], e)]
    said = [parse.read(r.raw, [field]) for r in student.complete(calls)]
    assert all(not problems for _, problems in said)
    wrong = sum(v["aids"] != (e.gold or {})["aids"] for (v, _), e in zip(said, given, strict=True))
    assert wrong > 15
