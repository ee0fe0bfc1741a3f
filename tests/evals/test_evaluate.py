from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core.cache import AnswerCache
from preceptor.core.errors import BudgetStop, InputError, Interrupted, StudentError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.ledger import Budget, Ledger
from preceptor.core.ports import Cancel, Progress
from preceptor.core.prices import Price, PriceTable
from preceptor.core.records import (
    Call,
    Example,
    Gold,
    IndexRef,
    ModelRef,
    Prompt,
    Recipe,
    Reply,
    Shot,
)
from preceptor.core.render import Hits, answer_text
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings

FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="pain", values=("present", "absent", "unknown")),
    ListField(name="drugs"),
)
RECIPE = Recipe(model=ModelRef(spec="scripted"))
GOLD: Gold = {"pain": "absent", "drugs": ["a"]}


def notes(count: int) -> list[Example]:
    return [
        Example(id=f"n{i}", group=f"p{i // 2}", text=f"note number {i}", gold=GOLD)
        for i in range(count)
    ]


class Recorder:
    """A student that answers with gold and keeps the calls that it was given, batch by batch."""

    def __init__(
        self, stop_after: int = 10**9, order: int = 1, drop: str = "", counts: bool = True
    ) -> None:
        self.ref = ModelRef(spec="scripted")
        self.context: int | None = None
        self.batches: list[list[tuple[str, tuple[str, ...]]]] = []
        self.calls: list[Call] = []
        self.stop_after, self.order, self.drop = stop_after, order, drop
        self.counts = counts

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        self.batches.append([c.key for c in calls])
        for call in calls[:: self.order]:
            if len(self.calls) >= self.stop_after or (cancel is not None and cancel()):
                return
            self.calls.append(call)
            if call.example_id != self.drop:
                read, written = (10, 2) if self.counts else (None, None)
                yield Reply(call.key, answer_text(GOLD, call.fields), "ok", read, written, 0.5)

    def close(self) -> None: ...


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    with AnswerCache(tmp_path / "answers.db") as opened:
        yield opened


def make(
    student: Recorder | ScriptedStudent,
    cache: AnswerCache,
    ledger: Ledger | None = None,
    cancel: Cancel | None = None,
    chunk: int = 4,
) -> CachedEvaluator:
    settings = EvaluatorSettings(FIELDS, chunk)
    return CachedEvaluator(settings, lambda _: student, cache, ledger, None, cancel)


def test_scores_in_order_also_when_replies_come_backwards(cache: AnswerCache) -> None:
    student = Recorder(order=-1)
    examples = notes(10)
    examples[3] = examples[3].model_copy(update={"gold": {"pain": "present", "drugs": ["a"]}})
    found = make(student, cache).evaluate(RECIPE, examples, "dev")
    assert [s.example_id for s in found.scored] == [e.id for e in examples]
    assert [s.score for s in found.scored] == [0.5 if i == 3 else 1.0 for i in range(10)]
    assert found.recipe == RECIPE.fingerprint
    assert found.split == "dev"
    assert found.scored[0].cost == 24


def test_nothing_is_asked_twice_and_chunks_keep_their_members(cache: AnswerCache) -> None:
    first = Recorder()
    examples = notes(10)
    asked = make(first, cache).answers(RECIPE, examples[4:6])
    assert len(asked) == 2
    second = Recorder()
    evaluator = make(second, cache)
    evaluator.answers(RECIPE, examples)
    names = [list(dict.fromkeys(note for note, _ in batch)) for batch in second.batches]
    assert names == [["n0", "n1", "n2", "n3"], ["n6", "n7"], ["n8", "n9"]]
    again = evaluator.answers(RECIPE, examples)
    assert len(second.batches) == 3
    assert [a.example_id for a in again] == [e.id for e in examples]


def test_another_recipe_field_or_model_is_asked_anew(cache: AnswerCache) -> None:
    student = Recorder()
    examples = notes(2)
    make(student, cache).answers(RECIPE, examples)
    make(student, cache).answers(
        RECIPE.model_copy(update={"prompt": Prompt(instruction="Other")}), examples
    )
    student.ref = ModelRef(spec="scripted", digest="new")
    make(student, cache).answers(RECIPE, examples)
    fewer = EvaluatorSettings(FIELDS[:1])
    (answer, _) = CachedEvaluator(fewer, lambda _: student, cache).answers(RECIPE, examples)
    assert len(student.batches) == 4
    assert answer.record == {"pain": "absent"}


def test_duplicates_are_asked_once_and_clashing_ids_refused(cache: AnswerCache) -> None:
    student = Recorder()
    examples = notes(2)
    found = make(student, cache).answers(RECIPE, [examples[0], examples[1], examples[0]])
    assert [a.example_id for a in found] == ["n0", "n1", "n0"]
    assert len(student.calls) == 4
    other = examples[0].model_copy(update={"text": "another text"})
    with pytest.raises(InputError, match="one id"):
        make(student, cache).answers(RECIPE, [examples[0], other])


def test_failed_answers_score_zero_and_are_asked_again(cache: AnswerCache) -> None:
    student = ScriptedStudent({f"n{i}": GOLD for i in range(4)}, faults={2: "fail"})
    evaluator = make(student, cache)
    found = evaluator.evaluate(RECIPE, notes(4), "dev")
    assert [s.score for s in found.scored] == [1.0, 0.5, 1.0, 1.0]
    assert not found.scored[1].valid
    assert evaluator.evaluate(RECIPE, notes(4), "dev").mean == 1.0
    assert student.answered == 8 + 2


def test_truncated_and_garbled_answers_are_data_and_kept(cache: AnswerCache) -> None:
    student = ScriptedStudent({f"n{i}": GOLD for i in range(4)}, faults={0: "truncate", 2: "garble"})
    evaluator = make(student, cache)
    first, second, *_ = evaluator.answers(RECIPE, notes(4))
    assert (first.status, first.problems) == ("truncated", {"pain": "truncated"})
    assert (second.status, second.problems) == ("invalid", {"pain": "invalid"})
    evaluator.answers(RECIPE, notes(4))
    assert student.answered == 8


def test_a_student_that_fails_mostly_cannot_be_used(cache: AnswerCache) -> None:
    faults = {i: "fail" for i in range(0, 32, 2) if i != 6}
    student = ScriptedStudent({f"n{i}": GOLD for i in range(16)}, faults=faults)  # type: ignore[arg-type]
    with pytest.raises(StudentError, match="15 of 16"):
        make(student, cache, chunk=16).answers(RECIPE, notes(16))
    assert len(cache) == 1
    few = ScriptedStudent({}, faults={i: "fail" for i in range(14)})
    assert make(few, cache, chunk=16).evaluate(RECIPE, notes(7), "dev").mean < 0.2


def test_half_of_a_chunk_may_fail(cache: AnswerCache) -> None:
    student = ScriptedStudent({}, faults={2 * i: "fail" for i in range(8)})
    found = make(student, cache, chunk=16).answers(RECIPE, notes(16))
    assert [a.status for a in found] == ["failed"] * 8 + ["ok"] * 8


def test_what_was_whole_is_kept_when_the_student_goes_down(cache: AnswerCache) -> None:
    student = ScriptedStudent({}, faults={5: "down"})
    with pytest.raises(StudentError):
        make(student, cache).answers(RECIPE, notes(4))
    assert len(cache) == 2
    make(student, cache).answers(RECIPE, notes(4))
    assert student.answered == 6 + 4


def test_a_note_that_the_student_left_out_counts_as_failed(cache: AnswerCache) -> None:
    found = make(Recorder(drop="n1"), cache).answers(RECIPE, notes(3))
    assert [a.status for a in found] == ["ok", "failed", "ok"]
    assert len(cache) == 2


def test_cancel_keeps_what_is_whole_and_says_so(cache: AnswerCache) -> None:
    student = Recorder()
    cancel = lambda: len(student.calls) >= 7  # noqa: E731
    with pytest.raises(Interrupted):
        make(student, cache, cancel=cancel).answers(RECIPE, notes(8))
    assert len(cache) == 3
    last = Recorder()
    with pytest.raises(Interrupted):
        make(last, cache, cancel=lambda: len(last.calls) >= 1).answers(RECIPE, notes(4))
    more = Recorder()
    make(more, cache).answers(RECIPE, notes(8))
    assert {c.example_id for c in more.calls} == {"n3", "n4", "n5", "n6", "n7"}
    assert len(make(Recorder(stop_after=0), cache, cancel=lambda: True).answers(RECIPE, notes(8))) == 8


def test_budget_stops_before_a_chunk_that_does_not_fit(cache: AnswerCache) -> None:
    ledger = Ledger(None, Budget(student_calls=20), PriceTable())
    student = Recorder()
    with pytest.raises(BudgetStop):
        make(student, cache, ledger).answers(RECIPE, notes(12))
    assert len(student.calls) == 16
    assert len(cache) == 8
    assert ledger.spent()["student_calls"] == 16
    assert len(make(student, cache, ledger).answers(RECIPE, notes(10))) == 10
    assert ledger.left()["student_calls"] == 0


def test_calls_that_fail_cost_again_when_asked_again(cache: AnswerCache) -> None:
    ledger = Ledger(None, Budget(), PriceTable())
    student = ScriptedStudent({}, faults={0: "fail", 2: "fail"})
    evaluator = make(student, cache, ledger)
    for _ in range(3):
        evaluator.answers(RECIPE, notes(1))
    assert student.answered == 6 == ledger.spent()["student_calls"]


def test_compute_seconds_are_booked_and_stop_the_run(cache: AnswerCache) -> None:
    ledger = Ledger(None, Budget(compute_seconds=1e-4), PriceTable())
    student = ScriptedStudent({}, delay=0.001)
    with pytest.raises(BudgetStop, match="compute_seconds"):
        make(student, cache, ledger).answers(RECIPE, notes(8))
    assert student.answered == 8
    assert ledger.spent()["compute_seconds"] >= 0.008


PRICED = PriceTable(prices=(Price(pattern="scripted", input=100, output=1000),))


def test_dollars_are_booked_as_the_server_counted(cache: AnswerCache) -> None:
    ledger = Ledger(None, Budget(dollars=9), PRICED)
    make(Recorder(), cache, ledger).answers(RECIPE, notes(6))
    assert ledger.spent()["dollars"] == pytest.approx(12 * (10 * 100 + 2 * 1000) / 1e6)
    assert ledger.unknown() == {}
    make(Recorder(), cache, ledger).answers(RECIPE, notes(6))
    assert ledger.spent()["student_calls"] == 12, "what is cached costs nothing"


def test_a_server_that_counts_no_tokens_leaves_dollars_unknown(cache: AnswerCache) -> None:
    ledger = Ledger(None, Budget(), PRICED)
    student = Recorder(counts=False)
    make(student, cache, ledger).answers(RECIPE, notes(1))
    free = Ledger(None, Budget(), PriceTable())
    make(student, cache, free).answers(RECIPE, notes(2))
    assert ledger.unknown() == {"dollars": 1}
    assert ledger.spent()["dollars"] > 0, "the reserved amount is kept"
    assert free.unknown() == {}


def test_dollars_stop_before_a_chunk_that_may_not_fit(cache: AnswerCache) -> None:
    ledger = Ledger(None, Budget(dollars=1.27), PRICED)
    student = Recorder()
    with pytest.raises(BudgetStop, match="dollars"):
        make(student, cache, ledger).answers(RECIPE, notes(40))
    assert 0 < len(student.calls) < 80
    assert ledger.spent()["dollars"] == pytest.approx(len(student.calls) * 0.003)


def test_progress_counts_cached_and_new_notes(cache: AnswerCache) -> None:
    seen: list[Progress] = []
    evaluator = make(Recorder(), cache)
    evaluator.answers(RECIPE, notes(3))
    evaluator.answers(RECIPE, notes(6), seen.append)
    assert [(p.done, p.total) for p in seen] == [(3, 6), (4, 6), (5, 6), (6, 6)]


def test_hits_reach_the_prompt_only_with_an_index(cache: AnswerCache) -> None:
    class Finder:
        def hits(self, examples: Sequence[Example], fields: Sequence[FieldSpec]) -> list[Hits]:
            shot = Shot(example_id="x", group="px", text="sore mouth", answer={"pain": "present"})
            return [{"pain": (shot,)} for _ in examples]

    student = Recorder()
    settings = EvaluatorSettings(FIELDS)
    evaluator = CachedEvaluator(settings, lambda _: student, cache, retriever=lambda _: Finder())
    evaluator.answers(RECIPE, notes(1))
    assert not any("sore mouth" in c.messages[-1].content for c in student.calls)
    evaluator.answers(RECIPE.model_copy(update={"index": IndexRef(digest="d")}), notes(1))
    shown = {c.fields[0].name: "sore mouth" in c.messages[-1].content for c in student.calls[-2:]}
    assert shown == {"pain": True, "drugs": False}


def test_joint_mode_asks_one_call_per_note(cache: AnswerCache) -> None:
    student = Recorder()
    joint = RECIPE.model_copy(update={"mode": "joint"})
    assert make(student, cache).evaluate(joint, notes(3), "dev").mean == 1.0
    assert len(student.calls) == 3
