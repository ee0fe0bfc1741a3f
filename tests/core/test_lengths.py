"""How long an answer can get follows from the schema; gold that does not fit is told."""

from __future__ import annotations

from preceptor.core import lengths
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example

SIGNS: tuple[FieldSpec, ...] = tuple(
    LabelField(name=f"finding {where} {what}", values=("present", "absent", "unknown"))
    for where in ("upper", "lower", "inner", "outer")
    for what in ("ache", "swelling", "itching", "burning", "numbness", "tremor", "rash", "cramp")
)
DRUGS = ListField(name="drugs", of="drugs with dose and scheme", max_items=40)
CHART = Example(
    id="n1",
    group="p1",
    text="x",
    gold={"drugs": [f"Examplopril {n},5 mg 1-0-1-0" for n in range(10, 28)]},
)


def test_one_label_has_the_limit_that_it_always_had() -> None:
    assert lengths.limit([SIGNS[:1]]) == 256
    assert lengths.limit([(f,) for f in SIGNS]) == 256


def test_many_fields_in_one_call_get_room() -> None:
    """32 labels took 300 tokens with two tokenizers, and more with a model's own line breaks."""
    assert lengths.limit([SIGNS]) > 600
    assert lengths.limit([SIGNS]) > lengths.limit([SIGNS[:16]])


def test_a_long_list_gets_room_for_its_items() -> None:
    """18 drugs with dose and scheme took 345 tokens."""
    assert lengths.limit([(DRUGS,)]) > 1000
    assert lengths.limit([(DRUGS.model_copy(update={"max_items": 4}),)]) == 256


def test_values_of_a_closed_list_count_once_each() -> None:
    closed = ListField(name="organs", values=("liver", "kidney", "spleen"))
    more = closed.model_copy(update={"max_items": 30})
    assert lengths.by_schema((closed,)) == lengths.by_schema((more,))


def test_a_small_student_keeps_half_of_its_context_for_the_note() -> None:
    assert lengths.limit([(DRUGS,)], context=1024) == 512
    assert lengths.limit([(DRUGS,)], context=256) == 256


def test_gold_that_does_not_fit_is_told_with_a_limit_that_would_do() -> None:
    found = lengths.tight([(DRUGS,)], [CHART, CHART.model_copy(update={"gold": {"drugs": []}})], 256)
    assert found is not None
    assert (found.notes, found.of, found.limit) == (1, 2, 256)
    assert f"--set max_tokens={-(-found.most // 32) * 32}" in found.words()
    assert lengths.tight([(DRUGS,)], [CHART], -(-found.most // 32) * 32) is None
    assert lengths.tight([(DRUGS,)], [CHART], lengths.limit([(DRUGS,)])) is None
