import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from preceptor.core import parse, render
from preceptor.core.fields import LabelField, ListField, object_schema
from preceptor.core.records import Answer, Reply

PAIN = LabelField(name="pain", values=("present", "absent"))
SWELL = LabelField(name="swelling", values=("present", "absent"))
DRUGS = ListField(name="drugs")
FIELDS = (PAIN, SWELL, DRUGS)


def reply(raw: str, *names: str, **more: object) -> Reply:
    return Reply(key=("n1", names or ("pain",)), raw=raw, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    [
        '{"pain": "absent"}',
        '```json\n{"pain": "absent"}\n```',
        'Sure! Here it is: {"pain": " ABSENT "} Anything else?',
        '{"pain": "absent", "why": {"because": [1, 2]}}',
        'I think {not json} but {"pain": "absent"}',
        '\ufeff{"pain": "absent"}',
    ],
)
def test_an_object_is_found_wherever_it_stands(raw: str) -> None:
    assert parse.read(raw, (PAIN,)) == ({"pain": "absent"}, {})


THOUGHT = 'First I thought {"pain": "present"}, but '


@pytest.mark.parametrize(
    "raw",
    [
        f"<think>{THOUGHT}</think>ANSWER",
        f"{THOUGHT}</think>ANSWER",
        f"<think>a</think>{THOUGHT}</think>ANSWER",
        f"<thinking>{THOUGHT}</thinking>ANSWER",
        f"<thought>{THOUGHT}</thought>ANSWER",
        f"<seed:think>{THOUGHT}</seed:think>ANSWER",
        f"[THINK]{THOUGHT}[/THINK]ANSWER",
        f"◁think▷{THOUGHT}◁/think▷ANSWER",
        f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>ANSWER<|END_RESPONSE|>",
        f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|><|begin_of_solution|>ANSWER",
        f"<|inner_prefix|>{THOUGHT}<|inner_suffix|>ANSWER",
        f"<|channel>thought\n{THOUGHT}<channel|>ANSWER",
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>ANSWER",
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant"
        "<|channel|>final <|constrain|>json<|message|>ANSWER<|return|>",
        f"analysis{THOUGHT}assistantfinalANSWER",
        f"analysis{THOUGHT}assistantfinaljsonANSWER",
        f"Here is my thought process: {THOUGHT}\n\nHere is my response:\nANSWER",
        f"ANSWER<think>{THOUGHT}",
    ],
)
def test_thoughts_are_cut(raw: str) -> None:
    assert parse.read(raw.replace("ANSWER", '{"pain": "absent"}'), (PAIN,)) == ({"pain": "absent"}, {})
    assert parse.read(raw.replace("ANSWER", "No idea."), (PAIN,)) == ({}, {"pain": "invalid"})


@pytest.mark.parametrize(
    "raw",
    [f"<think>{THOUGHT}", f"<|channel|>analysis<|message|>{THOUGHT}", f"[THINK] {THOUGHT}"],
)
def test_thoughts_that_never_end_hold_no_answer(raw: str) -> None:
    assert parse.read(raw, (PAIN,)) == ({}, {"pain": "invalid"})


SCHEMA = json.dumps(object_schema((PAIN,)))
RIGHT = '{"pain": "absent"}'


@pytest.mark.parametrize(
    "raw",
    [
        f"{SCHEMA}\n{RIGHT}",
        f"{RIGHT}\n{SCHEMA}",
        f"{{}} {RIGHT} {{}}",
        f'{RIGHT}\nas asked: {{"pain": "..."}}',
        f'Of {{"pain": ["present", "absent"]}} I say {RIGHT}',
        f'{{"pain": "present"}} No, wait: {RIGHT}',
        f'{{"properties": {{"pain": {{"type": "string"}}}}}} {RIGHT} {{"note": "x"}}',
    ],
)
def test_of_several_objects_the_last_with_the_asked_fields_counts(raw: str) -> None:
    assert parse.read(raw, (PAIN,)) == ({"pain": "absent"}, {})


def test_the_object_with_most_of_the_fields_counts() -> None:
    whole = '{"pain": "absent", "swelling": "present"}'
    raw = f'{{"pain": "present"}} {whole} In short: {{"pain": "present"}}'
    assert parse.read(raw, (PAIN, SWELL)) == ({"pain": "absent", "swelling": "present"}, {})


@pytest.mark.parametrize("raw", [SCHEMA, "{}", f"{SCHEMA} {{}}"])
def test_an_echoed_schema_is_no_answer(raw: str) -> None:
    assert parse.read(raw, (PAIN,)) == ({}, {"pain": "invalid"})


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "absent",
        '{"pain": "absent"',
        "[]",
        '["pain"]',
        '{"Pain ": "absent"}',
        '{"pain": "maybe"}',
        '{"pain": null}',
        '{"pain": {"a": "absent"}}',
        "{" * 3000,
        '{"a":' * 3000,
        '{"pain": ' + "[" * 900 + "]" * 900 + "}",
        '{"pain": ' + "9" * 5000 + "}",
    ],
)
def test_what_cannot_be_read_is_invalid_and_no_error(raw: str) -> None:
    assert parse.read(raw, (PAIN,)) == ({}, {"pain": "invalid"})


@given(st.text(max_size=60) | st.text(st.sampled_from('{}[]":,pain absent\\ud83d9e-'), max_size=80))
def test_no_text_of_a_student_is_an_error(raw: str) -> None:
    said = parse.answer("n1", (PAIN,), [reply(raw)])
    assert said.status in ("ok", "invalid")
    assert Answer.from_json(said.to_json()) == said


@given(
    st.sampled_from(["present", "absent"]),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=5),
)
def test_a_right_answer_is_read_back(label: str, drugs: list[str]) -> None:
    wanted: dict[str, JsonValue] = {"pain": label, "swelling": label, "drugs": DRUGS.read([*drugs])}
    assert parse.read(render.answer_text(wanted, FIELDS), FIELDS) == (wanted, {})


@pytest.mark.parametrize("raw", ['{"drugs": ["a\\ud83d"]}', '{"drugs": ["a\ud83d"]}'])
def test_half_a_surrogate_pair_can_be_stored(raw: str) -> None:
    said = parse.answer("n1", (DRUGS,), [reply(raw, "drugs")])
    assert said.record == {"drugs": ["a?"]}
    assert Answer.model_validate_json(said.model_dump_json()) == said


def test_the_order_of_replies_does_not_matter() -> None:
    replies = [
        reply('{"pain": "absent"}', "pain", prompt_tokens=5, completion_tokens=1, seconds=0.5),
        reply('{"swelling": "?"}', "swelling", prompt_tokens=6, completion_tokens=2, seconds=0.25),
        reply("", "drugs", status="failed", prompt_tokens=7, completion_tokens=0, error="timeout"),
    ]
    answers = {parse.answer("n1", FIELDS, order).to_json() for order in itertools.permutations(replies)}
    assert len(answers) == 1
    said = Answer.from_json(answers.pop())
    assert said.record == {"pain": "absent"}
    assert said.problems == {"swelling": "invalid", "drugs": "failed"}
    assert said.status == "failed"
    assert said.raw == ('{"pain": "absent"}', '{"swelling": "?"}', "")
    assert (said.prompt_tokens, said.completion_tokens, said.calls) == (18, 3, 3)
    assert said.seconds == 0.75


def test_a_cut_off_answer_is_truncated_even_if_it_could_be_read() -> None:
    said = parse.answer("n1", (PAIN,), [reply('{"pain": "absent"}', status="truncated")])
    assert (said.record, said.status) == (None, "truncated")
    assert said.problems == {"pain": "truncated"}


def test_one_unknown_count_makes_the_sum_unknown() -> None:
    replies = [
        reply('{"pain": "absent"}', "pain", prompt_tokens=5, completion_tokens=1),
        reply('{"swelling": "absent"}', "swelling", prompt_tokens=None, completion_tokens=2),
    ]
    said = parse.answer("n1", (PAIN, SWELL), replies)
    assert (said.prompt_tokens, said.completion_tokens) == (None, 3)
    assert said.status == "ok"


def test_a_field_without_a_reply_has_failed() -> None:
    said = parse.answer("n1", (PAIN, SWELL), [reply('{"pain": "absent"}')])
    assert said.problems == {"swelling": "failed"}
    assert parse.answer("n1", (PAIN,), []).status == "failed"
