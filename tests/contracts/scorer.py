"""The contract of a Scorer: what the scorer of any kind of field must do.

Subclass ``ScorerContract``; give the ``scorer``, gold values that differ, and an answer to none.
"""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from preceptor.core.ports import Scorer


class ScorerContract:
    @pytest.fixture
    def scorer(self) -> Scorer:
        raise NotImplementedError

    @pytest.fixture
    def golds(self) -> list[JsonValue]:
        """Gold values of one field, all different."""
        raise NotImplementedError

    def test_the_right_answer_is_worth_one(self, scorer: Scorer, golds: list[JsonValue]) -> None:
        assert [scorer.score(g, g) for g in golds] == [1.0] * len(golds)

    def test_no_answer_is_worth_nothing(self, scorer: Scorer, golds: list[JsonValue]) -> None:
        assert [scorer.score(g, None) for g in golds] == [0.0] * len(golds)

    def test_another_answer_is_worth_less(self, scorer: Scorer, golds: list[JsonValue]) -> None:
        for gold in golds:
            for other in golds:
                if other != gold:
                    assert 0.0 <= scorer.score(gold, other) < 1.0

    def test_scores_are_the_same_again(self, scorer: Scorer, golds: list[JsonValue]) -> None:
        first = [scorer.score(g, s) for g in golds for s in golds]
        assert first == [scorer.score(g, s) for g in golds for s in golds]
