import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from preceptor.core.record import DIGEST_CHARS, Record, canonical, digest
from preceptor.core.records import Answer, Example, Guide, ModelRef, Prompt, Recipe, Shot

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
GOLD = st.dictionaries(TEXT, TEXT | st.lists(TEXT, max_size=3), max_size=4)
GUIDES = st.dictionaries(
    TEXT,
    st.builds(Guide, meaning=TEXT, look_for=st.lists(TEXT).map(tuple), rules=st.tuples(TEXT)),
    max_size=3,
)
EXAMPLES = st.builds(
    Example,
    id=TEXT,
    group=TEXT,
    text=TEXT,
    gold=st.none() | GOLD,
    meta=st.dictionaries(TEXT, JSON, max_size=3),
)
RECIPES = st.builds(
    Recipe,
    model=st.builds(ModelRef, spec=TEXT, digest=TEXT),
    prompt=st.builds(Prompt, instruction=TEXT, rules=st.lists(TEXT).map(tuple), guides=GUIDES),
    mode=st.sampled_from(["per_field", "joint"]),
    shots=st.lists(
        st.builds(Shot, example_id=TEXT, group=TEXT, text=TEXT, answer=GOLD, reason=TEXT), max_size=2
    ).map(tuple),
)
ANSWERS = st.builds(
    Answer,
    example_id=TEXT,
    record=st.none() | GOLD,
    status=st.sampled_from(["ok", "invalid", "truncated"]),
    problems=st.dictionaries(TEXT, st.sampled_from(["invalid", "truncated"]), max_size=2),
    raw=st.lists(TEXT, max_size=3).map(tuple),
    prompt_tokens=st.none() | st.integers(0, 10**6),
    completion_tokens=st.none() | st.integers(0, 10**6),
    calls=st.integers(0, 20),
    seconds=st.floats(0, 1e6),
)


@given(st.one_of(EXAMPLES, RECIPES, ANSWERS))
def test_a_record_comes_back_from_json_with_the_same_name(record: Record) -> None:
    again = type(record).from_json(record.to_json())
    assert again == record
    assert again.fingerprint == record.fingerprint
    assert len(record.fingerprint) == DIGEST_CHARS
    assert again.to_json() == record.to_json()


@given(st.dictionaries(TEXT, JSON, max_size=5))
def test_the_order_of_keys_does_not_change_a_name(value: dict[str, JsonValue]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert digest(backwards) == digest(value)
    assert json.loads(canonical(value)) == value


@given(RECIPES, TEXT)
def test_another_content_is_another_name(recipe: Recipe, instruction: str) -> None:
    changed = recipe.model_copy(
        update={"prompt": recipe.prompt.model_copy(update={"instruction": instruction + "x"})}
    )
    same = changed.prompt.instruction == recipe.prompt.instruction
    assert (changed.fingerprint == recipe.fingerprint) is same


def test_a_copy_with_changes_does_not_inherit_the_name() -> None:
    first = ModelRef(spec="nano")
    before = first.fingerprint
    assert first.model_copy(update={"digest": "abc"}).fingerprint != before


def test_names_are_the_same_on_every_machine() -> None:
    assert digest("") == "e3b0c44298fc1c149afb"
    assert digest({"b": 1, "a": "é"}) == digest('{"a":"é","b":1}')
    assert ModelRef(spec="nano").fingerprint == digest('{"digest":"","spec":"nano"}')


def test_a_record_can_neither_be_changed_nor_hold_unknown_entries() -> None:
    ref = ModelRef(spec="nano")
    with pytest.raises(ValidationError):
        ref.spec = "other"
    with pytest.raises(ValidationError):
        ModelRef.model_validate({"spec": "nano", "sepc": "typo"})


def test_a_model_without_a_base_keeps_the_name_it_had() -> None:
    assert ModelRef(spec="nano").to_json() == '{"digest":"","spec":"nano"}'
    assert Recipe(model=ModelRef(spec="nano")).fingerprint == "ee9aaf3bffbb27f125a0"
    served = ModelRef(spec="ollama:preceptor/t:1", digest="d", base="ollama:b")
    assert ModelRef.from_json(served.to_json()) == served
    assert served.fingerprint != served.model_copy(update={"base": ""}).fingerprint
