from __future__ import annotations

import pytest

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Example, Finding, Guide, Prompt, Status
from preceptor.evals.findings import diagnose

PAIN = LabelField(name="pain", values=("present", "absent", "unknown"))
STAGE = LabelField(name="stage", values=("low", "middle", "high", "unknown"))
DRUGS = ListField(name="drugs")
PADDING = "Seen today. Weight is stable."


def one(text: str, gold: str, said: str, field: FieldSpec = PAIN) -> Finding | None:
    example = Example(id="n", group="p", text=text, gold={field.name: gold})
    answer = Answer(example_id="n", record={field.name: said})
    found = diagnose([example], [answer], [field])
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("text", "gold", "said", "kind", "cue"),
    [
        (f"{PADDING} Mouth hurts.", "present", "unknown", "missed", ""),
        (f"{PADDING} Denies pain.", "absent", "unknown", "missed", ""),
        (f"{PADDING} Something with pain.", "unknown", "present", "spurious", ""),
        (f"{PADDING} Her mother has pain.", "unknown", "present", "experiencer", "mother"),
        (
            f"{PADDING}\nFamily History:\nChest pain, gout.",
            "unknown",
            "present",
            "experiencer",
            "family history",
        ),
        (f"{PADDING} H/o pain in 2012.", "unknown", "present", "temporality", "h/o"),
        (f"{PADDING} Call us if there is pain.", "unknown", "present", "temporality", "if"),
        (f"{PADDING}\nPMH:\nBack pain, gout.", "unknown", "present", "temporality", "pmh"),
        (f"{PADDING} Denies fever or pain.", "absent", "present", "negation", "denies"),
        (f"{PADDING} No fever but pain at night.", "present", "absent", "negation", ""),
        (f"{PADDING} Pain denied.", "unknown", "present", "negation", "denied"),
    ],
)
def test_types_of_wrong_labels(text: str, gold: str, said: str, kind: str, cue: str) -> None:
    found = one(text, gold, said)
    assert found is not None
    assert (found.kind, found.cue) == (kind, cue)
    assert (found.field, found.count, found.total, found.example_ids) == ("pain", 1, 1, ("n",))


def test_values_without_polarity_are_wrong_values() -> None:
    found = one(f"{PADDING} The stage is high.", "high", "low", STAGE)
    assert found is not None
    assert found.kind == "wrong_value"
    assert one(f"{PADDING} Pain.", "present", "present") is None


def test_look_for_phrases_of_the_prompt_find_the_mention() -> None:
    example = Example(
        id="n", group="p", text=f"{PADDING} Father had a sore throat. Ate.", gold={"pain": "unknown"}
    )
    answer = Answer(example_id="n", record={"pain": "present"})
    prompt = Prompt(guides={"pain": Guide(look_for=("sore throat",))})
    assert diagnose([example], [answer], [PAIN])[0].kind == "spurious"
    assert diagnose([example], [answer], [PAIN], prompt)[0].kind == "experiencer"


def test_groups_are_counted_sorted_and_share_a_cue() -> None:
    texts = ["Denies pain.", "Denies any pain.", "Without pain.", "Denies pain at all.", "Pain."]
    examples = [
        Example(
            id=f"n{i}", group=f"p{i}", text=f"{PADDING} {t}", gold={"pain": "absent", "stage": "low"}
        )
        for i, t in enumerate(texts)
    ]
    answers = [
        Answer(example_id=e.id, record={"pain": "present", "stage": "low" if i else "unknown"})
        for i, e in enumerate(examples)
    ]
    found = diagnose(examples, answers, [STAGE, PAIN])
    assert [(f.kind, f.field, f.count, f.total) for f in found] == [
        ("negation", "pain", 5, 5),
        ("missed", "stage", 1, 5),
    ]
    assert found[0].cue == "denies"
    assert found[0].example_ids == ("n0", "n1", "n2", "n3", "n4")
    assert found == diagnose(examples, answers, [STAGE, PAIN])


def test_problems_have_their_own_kinds_and_failures_none() -> None:
    states: list[Status] = ["invalid", "truncated", "failed"]
    examples = [Example(id=s, group=s, text="Pain.", gold={"pain": "present"}) for s in states]
    examples.append(Example(id="free", group="free", text="Pain.", gold={"other": "x"}))
    examples.append(Example(id="bare", group="bare", text="Pain."))
    answers = [Answer(example_id=s, record=None, status=s, problems={"pain": s}) for s in states]
    answers += [Answer(example_id=i, record={"pain": "absent"}) for i in ("free", "bare")]
    found = diagnose(examples, answers, [PAIN])
    assert [(f.kind, f.count, f.total) for f in found] == [("format", 1, 3), ("truncated", 1, 3)]


def test_a_label_against_its_twins_is_suspect() -> None:
    rows = [("present", "present")] * 4 + [("unknown", "present")]
    examples = [
        Example(id=f"n{i}", group=f"p{i}", text=f"{PADDING} Pain {i} of 10 today.", gold={"pain": g})
        for i, (g, _) in enumerate(rows)
    ]
    answers = [
        Answer(example_id=e.id, record={"pain": s}) for e, (_, s) in zip(examples, rows, strict=True)
    ]
    (found,) = diagnose(examples, answers, [PAIN])
    assert (found.kind, found.example_ids) == ("label_suspect", ("n4",))
    (found,) = diagnose(examples[2:], answers[2:], [PAIN])
    assert found.kind == "spurious"
    same_patient = [e.model_copy(update={"group": "p"}) for e in examples]
    (found,) = diagnose(same_patient, answers, [PAIN])
    assert found.kind == "spurious"


def test_lists_have_missed_spurious_and_boundary_items() -> None:
    text = f"{PADDING} Takes aspirin and vitamin d daily. Mother takes lithium."
    example = Example(id="n", group="p", text=text, gold={"drugs": ["Aspirin", "vitamin d"]})

    def kinds(*items: str) -> dict[str, str]:
        answer = Answer(example_id="n", record={"drugs": list(items)})
        return {f.kind: f.cue for f in diagnose([example], [answer], [DRUGS])}

    assert kinds("aspirin", "Vitamin D") == {}
    assert kinds("aspirin") == {"missed": ""}
    assert kinds("aspirin", "vitamin d daily") == {"boundary": ""}
    assert kinds("aspirin", "vitamin d", "lithium") == {"experiencer": "mother"}
    assert kinds("aspirin", "vitamin d", "zinc") == {"spurious": ""}
