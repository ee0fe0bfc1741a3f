"""Hostile notes stay data in what a student and a terminal are given."""

from __future__ import annotations

import re

import pytest

from preceptor.core.fields import LabelField
from preceptor.core.records import Example, ModelRef, Prompt, Recipe
from preceptor.core.render import messages, printable, quote
from tests.hostile.notes import CANARY, NOTES

FIELD = LabelField(name="fever", values=("yes", "no"))
RECIPE = Recipe(model=ModelRef(spec="scripted"), prompt=Prompt(instruction="Read the note."))
ACTIVE = re.compile(
    r"<\||<｜|＜\||</?note\b|＜/?note|</?s>|<(?:start|end)_of_turn>|\[/?INST\]|［INST］|<<SYS>>|\[/?SYSTEM_PROMPT\]"
    r"|\[TOOL_|\[AVAILABLE|</?think>|</?tool_call>|<function=|<extra_id_|<script>|<img |<svg/"
)
UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


def test_there_are_enough_of_them() -> None:
    assert len(NOTES) >= 40
    assert all(text.count(CANARY) == 1 for text in NOTES.values())


@pytest.mark.parametrize("name", NOTES)
def test_a_hostile_note_stays_between_its_marks(name: str) -> None:
    system, user = messages(RECIPE, (FIELD,), Example(id="n", group="p", text=NOTES[name]))
    inner = user.content.removeprefix("<note>\n").rpartition("\n</note>\n")
    assert inner[2] == 'Field: "fever"\nLabels: yes; no'
    assert not ACTIVE.search(inner[0])
    assert not UNSEEN.search(inner[0])
    assert CANARY in inner[0]
    assert system.content == "Read the note."
    user.content.encode("utf-8")


@pytest.mark.parametrize("name", NOTES)
def test_quoting_twice_is_quoting_once(name: str) -> None:
    once = quote(NOTES[name])
    assert quote(once) == once


@pytest.mark.parametrize("name", NOTES)
def test_nothing_in_it_moves_a_cursor(name: str) -> None:
    shown = printable(NOTES[name])
    assert not UNSEEN.search(shown)
    assert "\r" not in shown
    shown.encode("utf-8")


def test_ordinary_text_is_left_alone() -> None:
    plain = "RR < 120/80, p<0.05, T >38 °C; a<b und c>d. Müller\tü 12\u00a0mg »x« [INR] [3]\n1) می‌خواهم"
    assert quote(plain) == plain
    assert printable(plain[:70]) == plain[:70]
