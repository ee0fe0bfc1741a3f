"""When answers reach the cache: in time, also while nothing more comes, and all in the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from preceptor.core.cache import AnswerCache
from preceptor.core.errors import StoreError
from preceptor.core.records import Answer, Status
from preceptor.evals.committing import Committer


def answer(name: str, status: Status = "ok") -> Answer:
    return Answer(example_id=name, status=status, record={"pain": "absent"})


def wait_for(cache: AnswerCache, count: int) -> int:
    end = time.monotonic() + 10
    while len(cache) < count and time.monotonic() < end:
        time.sleep(0.01)
    return len(cache)


def test_an_answer_is_committed_in_time_though_none_follows(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "c") as cache, Committer(cache, "r", every=0.05) as kept:
        kept.put("a", answer("a"))
        kept.put("b", answer("b"))
        assert wait_for(cache, 2) == 2
        kept.put("c", answer("c"))
        assert wait_for(cache, 3) == 3
        assert set(cache.get_many("r", ["a", "b", "c"])) == {"a", "b", "c"}


def test_answers_that_come_fast_are_committed_together(tmp_path: Path) -> None:
    class Counting(AnswerCache):
        batches = 0

        def put_many(self, recipe_key: str, answers: Mapping[str, Answer]) -> None:
            self.batches += 1
            super().put_many(recipe_key, answers)

    with Counting(tmp_path / "c") as cache:
        with Committer(cache, "r") as kept:
            for i in range(500):
                kept.put(str(i), answer(str(i)))
        assert (len(cache), cache.batches) == (500, 1)


def test_all_are_there_in_the_end_also_after_an_error(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "c") as cache:
        with suppress(KeyboardInterrupt), Committer(cache, "r") as kept:
            kept.put("a", answer("a"))
            kept.put("b", answer("b", "failed"))
            raise KeyboardInterrupt
        assert len(cache) == 1


def test_a_full_disk_is_told_with_the_next_answer_and_loses_none(tmp_path: Path) -> None:
    class Full(AnswerCache):
        full = True

        def put_many(self, recipe_key: str, answers: Mapping[str, Answer]) -> None:
            if self.full:
                raise StoreError("cannot use 'c': the disk is full")
            super().put_many(recipe_key, answers)

    with Full(tmp_path / "c") as cache:
        kept = Committer(cache, "r", every=0.01)
        kept.put("a", answer("a"))
        time.sleep(0.2)
        with pytest.raises(StoreError, match="full"):
            kept.put("b", answer("b"))
        with pytest.raises(StoreError, match="full"):
            kept.commit()
        cache.full = False
        kept.commit()
        assert len(cache) == 1
