# ruff: noqa: TID253  (torch is what it is about)
"""The training itself, in process: same losses again, going on after a stop, and what ends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from preceptor.agents.students import StudentOptions, make
from preceptor.core import render
from preceptor.core.record import digest
from preceptor.core.records import AdapterRef, ModelRef
from preceptor.tools.sft import base, checkpoints, data, train
from preceptor.tools.sft.bundles import alone
from preceptor.tools.sft.job import (
    ADAPTER,
    CANCEL,
    CHECKPOINTS,
    FAILURE,
    MERGED,
    PORTION,
    Failed,
    Failure,
    Hyper,
    Job,
    Limits,
    Result,
)
from preceptor.tools.sft.losses import answer_loss
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.tokens import Template
from preceptor.tools.sft.trainer import Collator, as_row
from preceptor.tools.sft.training import Training
from tests.contracts.evidence import FIELDS, corpus
from tests.tools.sft import small

EVERY_STEP = Limits(checkpoint_seconds=0)
ROWS = Hyper(epochs=2, batch=8, validation=0, patience=0, share=False)
"""20 rows of 10 notes: 3 steps an epoch."""


class At(TrainerCallback):
    """Does something at the end of a step, before the step counts as done, or before it begins."""

    def __init__(self, step: int, act: Callable[[Any], None], begin: bool = False) -> None:
        self.step, self.act, self.begin = step, act, begin

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.begin and state.global_step == self.step:
            self.act(args)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not self.begin and state.global_step == self.step:
            self.act(args)


class Died(BaseException):
    """Ends the training as a kill would: nothing after it runs."""


def die(args: Any) -> None:
    raise Died


def trained(folder: Path, *callbacks: TrainerCallback) -> Result:
    return train.run(Place.read(folder), callbacks)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    small.write(folder, ROWS, EVERY_STEP)
    return folder, trained(folder)


def failure(folder: Path) -> Failure:
    return Failure.from_json((folder / FAILURE).read_bytes())


def test_what_comes_out(whole: tuple[Path, Result]) -> None:
    folder, result = whole
    assert (result.steps, len(result.losses), result.best_step) == (6, 6, 6)
    assert result.losses[-1] < result.losses[0]
    assert (result.rows, result.stopped, result.device) == (20, "done", "cpu")
    assert result.adapter == AdapterRef(
        digest=base.weights_digest(base.file_hashes(folder / ADAPTER)), kind="lora"
    )
    assert set(result.files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert str(folder) not in (folder / ADAPTER / "adapter_config.json").read_text()
    assert base.read_about(folder / ADAPTER).base == base.model_digest(small.model())
    assert not (folder / CHECKPOINTS).exists()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    last = [e for e in events if e["event"] == "step"][-1]
    assert {"step", "of", "loss", "tokens_per_second", "eta", "memory_mb"} <= last.keys()
    assert (last["step"], last["of"]) == (6, 6)


def test_a_student_answers_with_the_adapter(whole: tuple[Path, Result]) -> None:
    folder, result = whole
    asked = render.calls(small.recipe(), FIELDS[:2], small.NOTES[0])
    ref = ModelRef(spec=f"hf:{small.model()}")
    options = StudentOptions(threads=1, device="cpu", adapter=folder / ADAPTER)
    tuned = make(ref, result.adapter, options)
    assert [r.status for r in tuned.complete(asked)] == ["ok", "ok"]


def test_the_same_job_again_has_the_same_losses_and_bytes(
    whole: tuple[Path, Result], tmp_path: Path
) -> None:
    small.write(tmp_path / "again", ROWS, EVERY_STEP)
    again = trained(tmp_path / "again")
    assert again.losses == whole[1].losses
    assert again.adapter == whole[1].adapter
    job = small.write(tmp_path / "other", ROWS, EVERY_STEP)
    (tmp_path / "other" / "job.json").write_text(job.model_copy(update={"seed": 1}).to_json())
    assert trained(tmp_path / "other").losses != whole[1].losses


@pytest.mark.parametrize("step", [2, 4])
def test_after_a_kill_it_goes_on_with_the_same_losses(
    whole: tuple[Path, Result], tmp_path: Path, step: int
) -> None:
    job = small.write(tmp_path, ROWS, EVERY_STEP)
    with pytest.raises(Died):
        trained(tmp_path, At(step, die, begin=True))
    assert checkpoints.last(tmp_path / CHECKPOINTS, job.fingerprint) is not None
    done: list[int] = []

    class Count(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            done.append(state.global_step)

    result = trained(tmp_path, Count())
    assert done == list(range(step + 1, 7))
    assert result.losses == whole[1].losses
    assert result.adapter == whole[1].adapter
    assert result.tokens == whole[1].tokens


def test_a_torn_checkpoint_is_passed_over(whole: tuple[Path, Result], tmp_path: Path) -> None:
    job = small.write(tmp_path, ROWS, EVERY_STEP)
    with pytest.raises(Died):
        trained(tmp_path, At(4, die, begin=True))
    torn = tmp_path / CHECKPOINTS / "checkpoint-4"
    (torn / "adapter_model.safetensors").write_bytes(b"half")
    found = checkpoints.last(tmp_path / CHECKPOINTS, job.fingerprint)
    assert found is not None
    assert found[0].name == "checkpoint-3"
    assert trained(tmp_path).losses == whole[1].losses


def test_killed_between_the_last_step_and_the_result(
    whole: tuple[Path, Result], tmp_path: Path
) -> None:
    """TRL would train one more step each time such a job is resumed."""
    small.write(tmp_path, ROWS, EVERY_STEP)

    class End(TrainerCallback):
        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            raise Died

    with pytest.raises(Died):
        trained(tmp_path, End())
    result = trained(tmp_path, At(7, die))
    assert (result.losses, result.adapter) == (whole[1].losses, whole[1].adapter)


def test_a_finished_job_is_left_as_it_is(whole: tuple[Path, Result]) -> None:
    folder, result = whole
    before = (folder / "events.jsonl").read_bytes()
    assert trained(folder, At(0, die, begin=True)) == result
    assert (folder / "events.jsonl").read_bytes() == before


def test_cancelled_and_gone_on(whole: tuple[Path, Result], tmp_path: Path) -> None:
    small.write(tmp_path, ROWS)
    with pytest.raises(Failed, match="cancelled"):
        trained(tmp_path, At(2, lambda _: (tmp_path / CANCEL).touch(), begin=True))
    assert failure(tmp_path).kind == "cancelled"
    (tmp_path / CANCEL).unlink()
    assert trained(tmp_path).losses == whole[1].losses


def test_the_time_limit(tmp_path: Path) -> None:
    small.write(tmp_path / "none", ROWS, Limits(seconds=1e-6))
    with pytest.raises(Failed, match="not enough for one epoch"):
        trained(tmp_path / "none")
    assert failure(tmp_path / "none").kind == "time"
    small.write(tmp_path / "one", ROWS, Limits(seconds=1e6))

    folder = tmp_path / "one"
    place = Place.read(folder)
    began: list[Training] = []
    real = Training.run

    class Late(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            began[0].clock.before = 2e6

    def run(self: Training) -> Any:
        began.append(self)
        return real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "run", run)
        result = train.run(place, [Late()])
    assert (result.stopped, result.steps) == ("time", 4)


def test_the_seconds_that_this_process_was_given(tmp_path: Path) -> None:
    """They are not the job's: it stops as at the job's own limit, and may go on when there are more."""
    job = small.write(tmp_path, ROWS, EVERY_STEP)
    assert train.main([str(tmp_path), "--seconds", "0"]) == 1
    assert failure(tmp_path).kind == "time"
    assert "not enough for one epoch" in failure(tmp_path).message
    made: list[Training] = []
    real = Training.run

    def run(self: Training) -> Any:
        made.append(self)
        return real(self)

    def end(_: Any) -> None:
        made[-1].clock.until = 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "run", run)
        with pytest.raises(Failed, match="the seconds left for this training were not enough"):
            trained(tmp_path, At(1, end, begin=True))
        result = trained(tmp_path, At(4, end, begin=True))
    assert (result.stopped, result.steps, result.job) == ("time", 5, job.fingerprint)


def test_memory_that_runs_out_makes_the_parts_smaller(
    whole: tuple[Path, Result], tmp_path: Path
) -> None:
    small.write(tmp_path, ROWS, EVERY_STEP)

    def full(args: Any) -> None:
        if args.per_device_train_batch_size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    result = trained(tmp_path, At(2, full, begin=True))
    assert result.parts == 4
    assert result.losses == pytest.approx(whole[1].losses, rel=1e-3)


def test_memory_that_suffices_for_rows_alone(tmp_path: Path) -> None:
    job = small.write(tmp_path, ROWS.model_copy(update={"share": True, "batch": 2}), EVERY_STEP)

    def full(args: Any) -> None:
        if not (tmp_path / PORTION).exists():
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(Died):
        trained(tmp_path, At(3, full, begin=True), At(5, die, begin=True))
    result = trained(tmp_path)  # goes on with what fitted
    assert job.hyper.share
    assert result.steps == 20  # one row of 20 by itself, two a step, two epochs
    small.write(tmp_path / "alone", ROWS.model_copy(update={"batch": 2}), EVERY_STEP)
    assert result.losses == trained(tmp_path / "alone").losses


def test_memory_that_never_suffices(tmp_path: Path) -> None:
    small.write(tmp_path, ROWS.model_copy(update={"batch": 2}))

    def full(args: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(Failed, match="memory has run out"):
        trained(tmp_path, At(0, full, begin=True))
    assert failure(tmp_path).kind == "out_of_memory"


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in small.model().iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    weights = load_file(model / "model.safetensors")
    weights = {
        k: torch.full_like(v, torch.nan) if "feed_forward" in k else v for k, v in weights.items()
    }
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    job = small.write(tmp_path / "job", ROWS)
    broken = job.base.model_copy(update={"digest": base.model_digest(model)})
    (tmp_path / "job" / "job.json").write_text(job.model_copy(update={"base": broken}).to_json())
    (tmp_path / "job" / "paths.json").write_text(json.dumps({"base": str(model)}))
    with pytest.raises(Failed, match="the loss is no number at step 1"):
        trained(tmp_path / "job")
    assert failure(tmp_path / "job").kind == "nan"


def test_rows_longer_than_the_window_are_counted(tmp_path: Path) -> None:
    small.write(tmp_path, ROWS, Limits(window=100))
    with pytest.raises(Failed, match="20 of 20 training rows are longer than the window of 100 tokens"):
        trained(tmp_path)
    assert failure(tmp_path).kind == "too_long"
    long = [r.model_copy(update={"answer": r.answer + " x" * 2000}) for r in small.rows()[:1]]
    small.write(tmp_path / "model", ROWS, found=[*long, *small.rows()[1:]])
    with pytest.raises(Failed, match="1 of 20 training rows are longer than the window of 1024"):
        trained(tmp_path / "model")


def test_it_stops_when_nothing_is_gained_and_keeps_the_best(tmp_path: Path) -> None:
    hyper = Hyper(method="full", epochs=20, batch=8, rate=1e-2, validation=0.2, patience=3)
    rows = small.rows(corpus(20), fields=1)
    aside = {row.id for row in data.split(rows, 0.2, 0)[1]}
    # What is learned from the others is ever more wrong on the patients left aside.
    said = {True: "[999, 777, 555, 333]", False: '{"dry mouth": "unknown"}'}
    rows = [row.model_copy(update={"answer": said[row.id in aside], "choices": ()}) for row in rows]
    small.write(tmp_path, hyper, found=rows)
    result = trained(tmp_path)
    losses = dict(result.validation)
    assert (result.stopped, result.validation_rows, result.rows) == ("patience", 4, 16)
    assert len(losses) < 20
    assert result.best_step == min(losses, key=lambda step: losses[step]) == sorted(losses)[-4]
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / ADAPTER, dtype="float32")
    model.eval()
    encoded = [small.token_row(template(), row) for row in rows if row.id in aside]
    batch = Collator(0)([as_row(alone(row)) for row in encoded])
    loss = answer_loss(model, batch).item() / sum(len(row.answer) for row in encoded)
    assert loss == pytest.approx(losses[result.best_step], rel=5e-3)
    assert loss != pytest.approx(losses[result.steps], rel=1e-2)


def template() -> Template:
    return Template(AutoTokenizer.from_pretrained(small.model()), frozenset({2}))


def test_other_data_than_the_job_names(tmp_path: Path) -> None:
    small.write(tmp_path, ROWS)
    (tmp_path / "data.jsonl").write_bytes(b"")
    with pytest.raises(Failed, match=r"data\.jsonl is not the job's data"):
        trained(tmp_path)


def test_another_base_model_than_the_job_names(tmp_path: Path) -> None:
    small.write(tmp_path, ROWS)
    (tmp_path / "paths.json").write_text(json.dumps({"base": str(small.model("llama"))}))
    with pytest.raises(Failed, match="is not the model 'hf:tiny' of this job"):
        trained(tmp_path)


def go_on(folder: Path, start: Path, hyper: Hyper, **changed: Any) -> Job:
    job = small.write(folder, hyper)
    about = base.read_about(start)
    job = job.model_copy(update={"start": about.adapter, **changed})
    (folder / "job.json").write_text(job.to_json())
    (folder / "paths.json").write_text(json.dumps({"base": str(small.model()), "start": str(start)}))
    return job


def test_further_training_begins_where_the_adapter_is(
    whole: tuple[Path, Result], tmp_path: Path
) -> None:
    go_on(tmp_path, whole[0] / ADAPTER, ROWS)
    further = trained(tmp_path)
    assert further.losses[0] < whole[1].losses[0]
    assert further.adapter.digest != whole[1].adapter.digest
    assert further.adapter.kind == "lora"


@pytest.mark.parametrize("given", ["another", "none", "too many"])
def test_other_weights_to_begin_at_than_the_job_names(
    whole: tuple[Path, Result], tmp_path: Path, given: str
) -> None:
    other = tmp_path / "other"
    small.write(other, ROWS.model_copy(update={"epochs": 1}))
    trained(other)
    folder = tmp_path / "job"
    job = go_on(folder, whole[0] / ADAPTER, ROWS)
    start = "" if given == "none" else str(other / ADAPTER)
    (folder / "paths.json").write_text(json.dumps({"base": str(small.model()), "start": start}))
    if given == "too many":
        (folder / "job.json").write_text(job.model_copy(update={"start": None}).to_json())
    said = {"another": "from which this job", "none": "is not known", "too many": "from no adapter"}
    with pytest.raises(Failed, match=said[given]):
        trained(folder)
    assert failure(folder).kind == "setup"
    assert "--start" in failure(folder).hint


def test_a_job_that_was_edited_does_not_go_on_from_the_old_one(tmp_path: Path) -> None:
    job = small.write(tmp_path / "edited", ROWS, EVERY_STEP)
    with pytest.raises(Died):
        trained(tmp_path / "edited", At(4, die, begin=True))
    edited = job.model_copy(update={"seed": 7}).to_json()
    (tmp_path / "edited" / "job.json").write_text(edited)
    small.write(tmp_path / "clean", ROWS, EVERY_STEP)
    (tmp_path / "clean" / "job.json").write_text(edited)
    assert trained(tmp_path / "edited").adapter == trained(tmp_path / "clean").adapter
    assert '"passed_over"' in (tmp_path / "edited" / "events.jsonl").read_text()


def test_an_adapter_for_another_base_model(whole: tuple[Path, Result], tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    for path in (whole[0] / ADAPTER).iterdir():
        (start / path.name).write_bytes(path.read_bytes())
    about = base.read_about(start)
    base.write_about(start, about.model_copy(update={"base": digest("another")}))
    go_on(tmp_path / "job", start, ROWS)
    with pytest.raises(Failed, match="belongs to another base model"):
        trained(tmp_path / "job")


def test_all_weights_and_merged_weights(whole: tuple[Path, Result], tmp_path: Path) -> None:
    full = ROWS.model_copy(update={"method": "full", "epochs": 1})
    small.write(tmp_path / "full", full)
    result = trained(tmp_path / "full")
    assert result.adapter.kind == "merged"
    stored = load_file(small.model() / "model.safetensors")
    written = load_file(tmp_path / "full" / ADAPTER / "model.safetensors")
    assert {k: v.dtype for k, v in written.items()} == {k: v.dtype for k, v in stored.items()}
    assert any((written[k] != stored[k]).any() for k in stored)
    job = small.write(tmp_path / "merge", ROWS, EVERY_STEP).model_copy(update={"merge": True})
    (tmp_path / "merge" / "job.json").write_text(job.to_json())
    merged = trained(tmp_path / "merge")
    assert merged.adapter == whole[1].adapter
    assert load_file(tmp_path / "merge" / MERGED / "model.safetensors").keys() == stored.keys()
    # Trained further, whole weights stay whole weights.
    go_on(tmp_path / "more", tmp_path / "full" / ADAPTER, ROWS)
    assert trained(tmp_path / "more").adapter.kind == "merged"


def test_four_bits_need_a_gpu(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    small.write(tmp_path, ROWS.model_copy(update={"method": "qlora"}))
    with pytest.raises(Failed, match="needs a GPU"):
        trained(tmp_path)


def test_no_room_for_whole_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(tmp_path, ROWS.model_copy(update={"method": "full"}))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(Failed, match="MiB of disk are needed"):
        trained(tmp_path)
