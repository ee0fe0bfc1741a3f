"""Teachers that misbehave are corrected, counted and given up; the best recipe stays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from preceptor.agents import teacher
from preceptor.core.errors import TeacherError
from preceptor.core.trace import read
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.teacher import FINISH, situation_of
from tests.hostile.play import play
from tests.hostile.teachers import CASES, Case
from tests.hostile.tls import openssl, self_signed


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_hostile_teacher_does_no_harm(case: Case, tmp_path: Path) -> None:
    played = play(case, tmp_path)
    assert played.kept
    assert played.stop == case.stop
    assert played.exit_code == (4 if case.stop == "teacher" else 0)
    if case.told:
        assert played.in_a_row == 3
        assert re.search(case.told, played.corrections[-1])
        assert all(len(told) < 700 for told in played.corrections)
    elif case.stop == "teacher":
        assert played.lost
        assert played.asked <= 4


def test_the_trace_holds_no_more_than_the_beginning_of_a_long_answer(tmp_path: Path) -> None:
    play(next(c for c in CASES if c.name.startswith("20,000 tokens of prose")), tmp_path)
    turns = [e for e in read(tmp_path / "run/trace.jsonl") if e.kind == "turn"]
    assert all(len(str(e.data["text"])) < 2200 for e in turns)
    assert "100000 characters" in str(turns[0].data["text"])


@openssl
def test_a_certificate_that_nobody_trusts_is_named(tmp_path: Path) -> None:
    with self_signed(tmp_path) as url:
        options = teacher.TeacherOptions(timeout=10)
        who = teacher.make(f"openai:any@{url}/v1", options)
        evidence = evidence_of(corpus(20), blind)
        with pytest.raises(TeacherError, match="after 1 try: its certificate is not trusted") as caught:
            who.turn(situation_of(evidence), evidence, [], (FINISH,))
        assert "SSL_CERT_FILE" in caught.value.hint
