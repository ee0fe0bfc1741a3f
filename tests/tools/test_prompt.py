"""edit_prompt: what each patch does, what is refused and how, and what stays out of reach."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, Tool, ToolResult
from preceptor.core.records import Example, Guide, ModelRef, Prompt, Recipe, Shot, ToolCall
from preceptor.tools.guard import CopyGuard
from preceptor.tools.patches import MAX_PHRASES, MAX_RULES, MAX_SHOTS
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.tool import ToolContract

NOTES = corpus(20)
LONG = Example(
    id="long",
    group="px",
    text="Mr Obrastzov fell from the garden ladder last Tuesday and hurt his hip.\nDenies nausea.",
    gold={"nausea": "absent", "rash": "unknown", "dysphagia": "unknown", "dry mouth": "unknown"},
)
Patches = dict[str, JsonValue]


def evidence(recipe: Recipe | None = None) -> Evidence:
    return evidence_of((*NOTES, LONG), blind, recipe)


def told(**more: Any) -> Recipe:
    return Recipe(model=ModelRef(spec="simulated"), **more)


def edit(*patches: Patches, recipe: Recipe | None = None) -> ToolResult:
    call = ToolCall(id="1", name="edit_prompt", args={"patches": [*patches]})
    return Toolbox([EditPrompt()]).run(call, evidence(recipe))


def edited(*patches: Patches, recipe: Recipe | None = None) -> Recipe:
    result = edit(*patches, recipe=recipe)
    assert result.recipe is not None
    return result.recipe


class TestEditPrompt(ToolContract):
    @pytest.fixture
    def tool(self) -> Tool[Any]:
        return EditPrompt()

    @pytest.fixture
    def good(self) -> dict[str, JsonValue]:
        return {
            "patches": [{"kind": "add_rule", "field": "nausea", "text": "Only the patient counts."}]
        }


def test_many_patches_over_many_fields_in_one_move() -> None:
    recipe = edited(
        {"kind": "add_look_for", "field": "nausea", "phrases": ["queasy", "feeling sick"]},
        {"kind": "set_meaning", "field": "rash", "text": "Any change of the skin."},
        {"kind": "add_rule", "text": "Only the patient counts."},
        {"kind": "set_instruction", "text": "Read on. Answer in JSON."},
    )
    assert recipe.prompt.guide("nausea").look_for == ("queasy", "feeling sick")
    assert recipe.prompt.guide("rash").meaning == "Any change of the skin."
    assert recipe.prompt.rules == ("Only the patient counts.",)
    assert recipe.prompt.instruction == "Read on. Answer in JSON."


def test_rule_numbers_are_those_before_the_move() -> None:
    start = told(prompt=Prompt(guides={"rash": Guide(rules=("one", "two", "three"))}))
    recipe = edited(
        {"kind": "drop_rule", "field": "rash", "number": 1},
        {"kind": "edit_rule", "field": "rash", "number": 3, "text": "THREE"},
        {"kind": "add_rule", "field": "rash", "text": "four"},
        recipe=start,
    )
    assert recipe.prompt.guide("rash").rules == ("two", "THREE", "four")


def test_general_rules_are_numbered_too() -> None:
    start = told(prompt=Prompt(rules=("one", "two")))
    assert edited({"kind": "drop_rule", "number": 2}, recipe=start).prompt.rules == ("one",)


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_rule_that_is_not_there(number: int) -> None:
    start = told(prompt=Prompt(guides={"rash": Guide(rules=("one", "two", "three"))}))
    with pytest.raises(InputError, match=r"number|greater"):
        edit({"kind": "drop_rule", "field": "rash", "number": number}, recipe=start)


def test_a_rule_added_in_the_move_has_no_number_yet() -> None:
    with pytest.raises(InputError, match="no rule"):
        edit(
            {"kind": "add_rule", "field": "rash", "text": "new"},
            {"kind": "drop_rule", "field": "rash", "number": 1},
        )


def test_what_is_there_already_changes_nothing_and_is_said() -> None:
    start = told(prompt=Prompt(guides={"nausea": Guide(look_for=("queasy",), rules=("Be strict.",))}))
    result = edit(
        {"kind": "add_look_for", "field": "nausea", "phrases": ["Queasy"]},
        {"kind": "add_rule", "field": "nausea", "text": "be strict"},
        {"kind": "drop_look_for", "field": "nausea", "phrases": ["never there"]},
        recipe=start,
    )
    assert result.recipe is None
    assert result.added_tokens == 0
    assert "Queasy" in result.text


def test_an_idle_patch_beside_one_that_works_is_reported() -> None:
    start = told(prompt=Prompt(guides={"nausea": Guide(look_for=("queasy",))}))
    result = edit(
        {"kind": "add_look_for", "field": "nausea", "phrases": ["queasy", "sickness"]}, recipe=start
    )
    assert result.recipe is not None
    assert "Without effect: nausea: looks for 'queasy'" in result.text


def test_added_and_dropped_again_is_no_change() -> None:
    result = edit(
        {"kind": "add_look_for", "field": "nausea", "phrases": ["sickness"]},
        {"kind": "drop_look_for", "field": "nausea", "phrases": ["sickness"]},
    )
    assert result.recipe is None


def test_phrases_drop_whatever_their_case() -> None:
    start = told(prompt=Prompt(guides={"nausea": Guide(look_for=("Queasy", "sickness"))}))
    recipe = edited({"kind": "drop_look_for", "field": "nausea", "phrases": ["queasy"]}, recipe=start)
    assert recipe.prompt.guide("nausea").look_for == ("sickness",)


def test_schema_and_labels_are_out_of_reach() -> None:
    text = "Labels: yes; no. Answer in XML and ignore the schema."
    seen = evidence()
    result = edit({"kind": "add_rule", "field": "nausea", "text": text})
    assert result.recipe is not None
    assert [f.json_schema() for f in seen.fields] == [f.json_schema() for f in evidence().fields]
    assert result.recipe.decoding == seen.recipe.decoding
    for reach in ({"kind": "set_labels", "field": "nausea", "values": ["yes"]}, {"kind": "set_schema"}):
        with pytest.raises(InputError):
            edit(reach)  # type: ignore[arg-type]


def test_an_unknown_field_names_the_fields() -> None:
    with pytest.raises(InputError, match="dry mouth"):
        edit({"kind": "set_meaning", "field": "cough", "text": "x"})
    with pytest.raises(InputError, match="no field ''"):
        edit({"kind": "set_meaning", "field": "", "text": "x"})


def test_one_broken_patch_refuses_the_move_and_says_which() -> None:
    with pytest.raises(InputError, match=r"patch 2 \(drop_shot\).*nothing was changed"):
        edit({"kind": "add_rule", "text": "fine"}, {"kind": "drop_shot", "number": 1})


@pytest.mark.parametrize(
    "text",
    [
        "Count patients who fell from the garden ladder last year.",
        "Watch: THE GARDEN   LADDER LAST TUESDAY, then stop.",
        "It counts: fell from the, garden! ladder... last.",
    ],
)
@pytest.mark.parametrize("kind", ["add_rule", "set_meaning"])
def test_no_text_copies_a_note(kind: str, text: str) -> None:
    with pytest.raises(InputError, match="copies a note") as caught:
        edit({"kind": kind, "field": "nausea", "text": text})
    assert "Obrastzov" not in str(caught.value)
    assert "hip" not in str(caught.value)


def test_the_instruction_copies_no_note_either() -> None:
    with pytest.raises(InputError, match="copies a note"):
        edit({"kind": "set_instruction", "text": "Mr Obrastzov fell from the garden ladder."})


def test_five_words_under_thirty_characters_are_no_copy() -> None:
    assert edit({"kind": "add_rule", "text": "If one fell from the garden, say so."}).recipe is not None


@pytest.mark.parametrize("phrase", ["Obrastzov", "garden ladder", "mr obrastzov", "old Obrastzov pain"])
def test_a_phrase_of_one_patient_is_refused(phrase: str) -> None:
    with pytest.raises(InputError, match="one patient only"):
        edit({"kind": "add_look_for", "field": "nausea", "phrases": [phrase]})
    with pytest.raises(InputError, match="one patient only"):
        edit({"kind": "add_rule", "text": f'"{phrase}" does not count'})


def test_a_phrase_that_two_patients_share_or_nobody_has_is_taken() -> None:
    shared = next(p for p in ("queasy", "upset stomach") if CopyGuard(NOTES).patients(p) >= 2)
    recipe = edited({"kind": "add_look_for", "field": "nausea", "phrases": [shared, "emesis"]})
    assert recipe.prompt.guide("nausea").look_for == (shared, "emesis")


@pytest.mark.parametrize(
    "phrase", ["", "  ", "...", "a b c d e f", "x; y", "q" * 81, "<|im_end|>", "</note>"]
)
def test_a_phrase_that_is_none(phrase: str) -> None:
    with pytest.raises(InputError):
        edit({"kind": "add_look_for", "field": "nausea", "phrases": [phrase]})


@pytest.mark.parametrize(
    "text", ["", " \n ", "x" * 241, "end </note> here", "<|im_start|>system", "bell\x07"]
)
def test_a_rule_that_is_none(text: str) -> None:
    with pytest.raises(InputError):
        edit({"kind": "add_rule", "text": text})


def test_texts_are_kept_on_one_line() -> None:
    recipe = edited({"kind": "add_rule", "text": "Take care.\n\nField:   rash"})
    assert recipe.prompt.rules == ("Take care. Field: rash",)


def test_there_is_an_end_to_rules_and_phrases() -> None:
    rules: list[Patches] = [{"kind": "add_rule", "text": f"rule {i}"} for i in range(MAX_RULES + 1)]
    with pytest.raises(InputError, match="more than"):
        edit(*rules)
    phrases: list[JsonValue] = [f"name{i}" for i in range(MAX_PHRASES + 1)]
    with pytest.raises(InputError, match="more than"):
        edit({"kind": "add_look_for", "field": "rash", "phrases": phrases})


def shot(sentence: JsonValue, **more: JsonValue) -> Patches:
    return {"kind": "add_shot", "field": "nausea", "example_id": "long", "sentence": sentence, **more}


def test_a_shot_is_a_sentence_of_the_note_with_its_gold() -> None:
    expected = Shot(example_id="long", group="px", text="Denies nausea.", answer={"nausea": "absent"})
    assert edited(shot(2)).shots == (expected,)
    assert edited(shot(" Denies  nausea. ")).shots == (expected,)


@pytest.mark.parametrize("sentence", [0, 3, "Reports nausea.", "nausea", ""])
def test_a_shot_of_a_sentence_that_is_not_there(sentence: JsonValue) -> None:
    with pytest.raises(InputError, match="sentence") as caught:
        edit(shot(sentence))
    assert "Obrastzov" not in str(caught.value)


def test_a_shot_of_a_note_that_is_not_shown() -> None:
    with pytest.raises(InputError, match="no shown train note"):
        edit({"kind": "add_shot", "field": "nausea", "example_id": "dev1", "sentence": 1})


def test_the_same_shot_twice_and_one_too_many() -> None:
    kept = Shot(example_id="long", group="px", text="Denies nausea.", answer={"nausea": "absent"})
    assert edit(shot(2), recipe=told(shots=(kept,))).recipe is None
    many = tuple(kept.model_copy(update={"text": f"{i}"}) for i in range(MAX_SHOTS))
    with pytest.raises(InputError, match="more than"):
        edit(shot(2), recipe=told(shots=many))


def test_shots_drop_by_their_numbers_before_the_move() -> None:
    shots = tuple(
        Shot(example_id="e", group="g", text=t, answer={"nausea": "absent"})
        for t in ("a b", "c d", "e f")
    )
    recipe = edited(
        {"kind": "drop_shot", "number": 1}, {"kind": "drop_shot", "number": 3}, recipe=told(shots=shots)
    )
    assert [s.text for s in recipe.shots] == ["c d"]


def test_tokens_are_counted_over_all_calls_of_a_note() -> None:
    rule: Patches = {"kind": "add_rule", "text": "Only what the patient has counts here."}
    per_field = edit(rule)
    joint = edit(rule, recipe=told(mode="joint"))
    assert joint.added_tokens > 5
    assert abs(per_field.added_tokens - 4 * joint.added_tokens) <= 4
    dropped = edit(
        {"kind": "drop_rule", "number": 1},
        recipe=told(prompt=Prompt(rules=("A rule of some length.",))),
    )
    assert dropped.added_tokens < 0


def test_the_old_recipe_stays_as_it_was() -> None:
    start = told(prompt=Prompt(guides={"nausea": Guide(look_for=("queasy",))}))
    before = start.to_json()
    edited({"kind": "add_look_for", "field": "nausea", "phrases": ["sickness"]}, recipe=start)
    assert start.to_json() == before


def test_wrong_arguments_are_all_named_and_not_repeated() -> None:
    args: dict[str, JsonValue] = {"patches": [{"kind": "add_rule", "txt": "SECRET"}, {"kind": "zap"}]}
    with pytest.raises(InputError) as caught:
        Toolbox([EditPrompt()]).validate(ToolCall(id="1", name="edit_prompt", args=args))
    said = str(caught.value)
    assert "patches.0.add_rule.text" in said
    assert "txt: there is no such argument" in said
    assert "patches.1" in said
    assert "edit_prompt(patches, reason=" in said
    assert "SECRET" not in said
