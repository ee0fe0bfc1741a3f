# ruff: noqa: TID253  (torch is what it is about)
"""What is learned of an answer: the tokens that decide; and whether anything was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from preceptor.tools.sft import data, probing, telling, train, training
from preceptor.tools.sft.bundles import FORCED, TokenRow, alone, lay_out
from preceptor.tools.sft.job import Hyper, Limits, Result
from preceptor.tools.sft.losses import Tally, found, weights
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.tokens import Template
from preceptor.tools.sft.trainer import Aim, Collator, as_row
from tests.contracts.evidence import FIELDS, corpus
from tests.tools.sft import small

FULL = Hyper(method="full", epochs=2, batch=8, validation=0, patience=0, share=False, rate=1e-3)


def trained(folder: Path, hyper: Hyper, rows: list[data.Row], limits: Limits | None = None) -> Result:
    small.write(folder, hyper, limits, found=rows)
    return train.run(Place.read(folder))


def template() -> Template:
    return Template(AutoTokenizer.from_pretrained(small.model()), frozenset({2}))


def test_the_tokens_that_decide_hold_the_label_and_no_other_does() -> None:
    tokenizer = AutoTokenizer.from_pretrained(small.model())
    for row in small.rows():
        _, answer, fields = template().chosen(row.prompt, row.answer, row.choices)
        assert len(answer) == len(fields)
        label = next(iter(json.loads(row.answer).values()))
        decided = [t for t, f in zip(answer, fields, strict=True) if f == 0]
        said = "".join(str(tokenizer.decode([t])) for t in decided)
        assert 0 < len(said.strip(' "}')) <= len(label)
        assert label.startswith(said.strip(' "')[:1])
        assert fields[0] == FORCED  # the brace
        assert fields[-1] == FORCED  # the end


def test_an_answer_without_choices_counts_as_a_whole() -> None:
    row = small.rows()[0]
    _, answer, fields = template().chosen(row.prompt, row.answer, ())
    assert fields[:-1] == [0] * (len(answer) - 1)


def encoded(rows: list[data.Row]) -> list[TokenRow]:
    made = []
    for number, row in enumerate(rows):
        prompt, answer, fields = template().chosen(row.prompt, row.answer, row.choices)
        decides = tuple(number if f == 0 else FORCED for f in fields)
        made.append(TokenRow(row.id, tuple(prompt), tuple(answer), decides, row.fields, number))
    return made


@pytest.mark.parametrize("bundled", [False, True])
def test_a_loss_weighs_decisions_fully_and_the_frame_by_its_weight(bundled: bool) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(small.model("llama"), dtype="float32")
    model.eval()
    rows = encoded(small.rows(small.NOTES[:3]))
    bundles = lay_out(rows, 0) if bundled else [alone(row) for row in rows]
    batch = Collator(0)([as_row(b) for b in bundles])
    said = found(model, batch)
    decides = said.marks != FORCED
    assert int(decides.sum()) == sum(f != FORCED for row in rows for f in row.decides)
    for frame in (0.0, 0.1, 1.0):
        by_hand = (said.each[decides].sum() + frame * said.each[~decides].sum()) / (
            decides.sum() + frame * (~decides).sum()
        )
        torch.testing.assert_close(said.mean(frame), by_hand)
    assert sorted(set(weights(said.marks, 0.1).tolist())) == pytest.approx([0.1, 1.0])
    tally = Tally()
    tally.add(said)
    assert tally.means()["decision_loss"] == pytest.approx(float(said.each[decides].mean()), rel=1e-5)
    assert set(said.marks[decides].tolist()) == {row.first for row in rows}
    assert tally.wrong == set(said.marks[decides & ~said.right].tolist())


def test_both_losses_stand_in_the_result_and_in_the_events(tmp_path: Path) -> None:
    rows = small.rows()
    result = trained(tmp_path, FULL.model_copy(update={"frame": 0.5}), rows)
    assert len(result.decisions) == len(result.frames) == len(result.losses) == result.steps
    # Eight rows a step, of which each has as many tokens of a kind as the next: the mean is weighted.
    ratio = [
        (loss - frame) / (decision - frame)
        for loss, decision, frame in zip(result.losses, result.decisions, result.frames, strict=True)
    ]
    counts = [[f != FORCED for f in row.decides] for row in encoded(rows)]
    decided, forced = (sum(c.count(k) for c in counts) for k in (True, False))
    assert ratio[0] == pytest.approx(decided / (decided + 0.5 * forced), abs=0.05)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert {"decision_loss", "frame_loss"} <= [e for e in events if e["event"] == "step"][-1].keys()


def test_a_training_that_stays_at_guessing_says_so(tmp_path: Path) -> None:
    rows = small.rows(corpus(20), fields=1)
    low = trained(tmp_path / "low", FULL.model_copy(update={"rate": 1e-6}), rows)
    assert not low.learned
    assert low.reached > low.guess > 0
    said = telling.told(low, data.dump(rows))
    assert "Nothing was learned" in said
    assert "Adapter" not in said
    high = FULL.model_copy(update={"rate": 1e-2, "epochs": 12})
    far = trained(tmp_path / "far", high, rows)
    assert far.learned
    assert far.reached < far.guess == pytest.approx(low.guess)
    assert "Nothing was learned" not in telling.told(far, data.dump(rows))


def test_patients_left_aside_are_judged_by_what_answers_are_worth(tmp_path: Path) -> None:
    rows = small.rows(corpus(20), fields=1)
    hyper = FULL.model_copy(update={"validation": 0.3, "rate": 1e-2, "epochs": 3})
    same = trained(tmp_path / "same", hyper, rows)
    assert len(same.scores) == len(same.validation) == 3
    assert all(0 <= score <= 1 for _, score in same.scores)
    aside = {row.id for row in data.split(rows, 0.3, 0)[1]}
    chosen = sorted(aside)[0]
    worth = {note: {FIELDS[0].name: float(note == chosen)} for note in aside}
    one = trained(tmp_path / "one", hyper, data.valued(rows, worth))
    assert {score for _, score in one.scores} <= {0.0, 1.0}


def test_worth_nothing_is_worth_the_same() -> None:
    assert Aim(worth=(0.0, 0.0, 0.0, 0.0)).score({1}) == 0.75
    assert Aim(worth=(0.5, 0.0, 0.0, 0.5)).score({1, 2}) == 1.0


class Rows(dict[str, Any]):
    """Rows as a data set of the trainer has them: by column, and by place."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().__getitem__(key)
        return {name: column[key] for name, column in self.items()}


def probe() -> probing.Probe:
    model: Any = AutoModelForCausalLM.from_pretrained(small.model("llama"), dtype="float32")
    made = [as_row(alone(row)) for row in encoded(small.rows(corpus(30), fields=1))]
    rows = Rows({name: [row[name] for row in made] for name in made[0]})
    return probing.Probe(model, rows, Collator(0), 2, 0.1, False, 0)


def test_the_best_of_some_rates_is_found_and_the_weights_are_what_they_were() -> None:
    trial = probe()
    before = [p.detach().clone() for p in trial.model.parameters()]
    plan = trial.plan(3e-4, 20, 1e6)
    assert [rate for rate, _ in plan.tried] == pytest.approx([1e-4, 3e-4, 9e-4])
    assert plan.rate == pytest.approx(9e-4)  # the higher, the better, where all are too low
    assert plan.epochs == 20
    for was, now in zip(before, trial.model.parameters(), strict=True):
        assert torch.equal(was, now)
    assert trial.plan(1.0, 20, 1e6).rate < 1.0  # the lowest, where all are far too high


def test_another_rate_must_be_clearly_better() -> None:
    assert probing.best([(1.0, 0.96), (3.0, 1.0), (9.0, 2.0)], 3.0) == 3.0
    assert probing.best([(1.0, 0.94), (3.0, 1.0), (9.0, 2.0)], 3.0) == 1.0
    assert probing.best([(1.0, float("inf")), (3.0, float("inf")), (9.0, float("inf"))], 3.0) == 3.0
    assert probing.best([], 3.0) == 3.0


def test_without_time_the_usual_rate_is_taken_and_epochs_are_left_out() -> None:
    plan = probe().plan(1e-3, 20, 0.5)
    assert (plan.rate, plan.tried) == (1e-3, ())
    assert 1 <= plan.epochs < 20


def test_a_resumed_training_goes_on_with_its_plan(tmp_path: Path) -> None:
    hyper = FULL.model_copy(update={"rate": None, "probe": True, "epochs": 5, "batch": 2})
    first = trained(tmp_path / "a", hyper, small.rows(corpus(60)))
    assert len(first.tried) == 3
    plan = probing.read(tmp_path / "a")
    assert plan is not None
    assert plan.rate == first.rate
    assert first.rate in [rate for rate, _ in first.tried]
    other = plan.model_copy(update={"rate": 5e-4, "epochs": 1})
    (tmp_path / "b").mkdir()
    probing.write(tmp_path / "b", other)
    again = trained(tmp_path / "b", hyper, small.rows(corpus(60)))
    assert (again.rate, again.epochs) == (5e-4, 1)


def test_a_step_has_the_answers_of_several_notes() -> None:
    assert training.batch_of(None, 12) == 4  # Twelve fields: four notes.
    assert training.batch_of(None, 40) == 4
    assert training.batch_of(None, 4) == 12
    assert training.batch_of(None, 1) == 16
    assert training.batch_of(16, 12) == 1  # As named.
    assert training.batch_of(16, 3) == 5


def test_a_cpu_computes_as_much_at_once_as_keeps_it_busy() -> None:
    assert training.parts_of(4, 500) == 2
    assert training.parts_of(4, 100) == 1
    assert training.parts_of(4, 2000) == 4
    assert training.parts_of(5, 500) == 5
    assert training.parts_of(1, 5000) == 1
