from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.core.text import sentences, split_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No pain. Ate well!  Sleeps?", ["No pain.", "Ate well!", "Sleeps?"]),
        ("Seen by Dr. Lee today. Doing ok.", ["Seen by Dr. Lee today.", "Doing ok."]),
        ("Received 60.5 Gy in 30 fx. Stable.", ["Received 60.5 Gy in 30 fx.", "Stable."]),
        ("Oxycodone 5 mg p.o. b.i.d. as needed", ["Oxycodone 5 mg p.o. b.i.d. as needed"]),
        ("HPI:\nDenies fever\nand chills.\n\nPlan", ["HPI:", "Denies fever\nand chills.", "Plan"]),
        ("- dry mouth\n- no cough", ["- dry mouth", "- no cough"]),
        ("1. Mucositis\n2. Fatigue", ["1. Mucositis", "2. Fatigue"]),
        ("he said... fine now. ok", ["he said... fine now.", "ok"]),
        ('She said "no pain." Then left.', ['She said "no pain."', "Then left."]),
        ("Ward No. 5. Room 2", ["Ward No. 5.", "Room 2"]),
        ("Any cough? No. Any pain? No.", ["Any cough?", "No.", "Any pain?", "No."]),
        ("痛みなし。食欲あり。", ["痛みなし。", "食欲あり。"]),
        ("   \n \n", []),
        ("", []),
    ],
)
def test_splits_as_a_reader_would(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet="ab .!?\n-1D。:", max_size=80))
def test_spans_are_ordered_disjoint_and_lose_nothing(text: str) -> None:
    spans = split_sentences(text)
    assert all(a < b for a, b in spans)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
    kept = "".join("".join(text[a:b].split()) for a, b in spans)
    assert kept == "".join(text.split())
