"""The move ``fine_tune``: what it asks for, refuses, and gives."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from preceptor.core import lengths
from preceptor.core.errors import BudgetStop, InputError
from preceptor.core.fields import LabelField
from preceptor.core.ports import Evidence, Tool
from preceptor.core.record import digest
from preceptor.core.records import AdapterRef, IndexRef, ModelRef, Recipe, ToolCall
from preceptor.tools.distill.weak import Labelled, Vote, combine
from preceptor.tools.sft import base, data, finetune
from preceptor.tools.sft.args import FineTuneArgs
from preceptor.tools.sft.faces import Face, Faces, Way
from preceptor.tools.sft.finetune import FineTune, asked_as
from preceptor.tools.sft.job import PROFILES, Job
from preceptor.tools.sft.options import FineTuneOptions, Grant
from preceptor.tools.sft.recombine import PREFIX
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import corpus, evidence_of
from tests.contracts.tool import ToolContract
from tests.tools.sft import small

pytest.importorskip("trl", reason="pip install preceptor[local]")

QUICK: dict[str, JsonValue] = {
    "profile": "quick", "fields": ["rash"], "recombined": 0,
    "change": {"epochs": 12, "method": "full", "rate": 0.01, "batch": 2},
}  # fmt: skip
BOOKED: list[tuple[str, float, float]] = []


def reserve(key: str, seconds: float) -> Any:
    return Grant(seconds, lambda used: BOOKED.append((key, seconds, used)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, so that each move is trained once."""
    return tmp_path_factory.mktemp("fine_tune")


@pytest.mark.slow
@pytest.mark.timeout(900)  # a training process on a busy machine
class TestFineTune(ToolContract):
    @pytest.fixture
    def tool(self, folder: Path) -> Tool[Any]:
        return FineTune(folder, Faces(), FineTuneOptions(reserve=reserve))

    @pytest.fixture
    def good(self) -> dict[str, JsonValue]:
        return QUICK

    @pytest.fixture
    def evidence(self) -> Evidence:
        return small.evidence()

    def test_trains_once_and_books_it_once(self, tool: FineTune, evidence: Evidence) -> None:
        BOOKED.clear()
        args = FineTuneArgs.model_validate({**QUICK, "weight_errors": 2})
        first = tool.run(args, evidence)
        again = tool.run(
            args.model_copy(update={"reason": "once more", "expected_gain": 0.1}), evidence
        )
        assert first == again
        ((key, most, used),) = BOOKED
        assert key.startswith("fine_tune:")
        assert 0 < used < most == 1800
        assert "Trained on 10 notes (" in first.text
        assert first.recipe is not None
        assert first.recipe.adapter is not None
        assert first.recipe.model_copy(update={"adapter": None}) == evidence.recipe
        further = evidence_of(small.NOTES, lambda e, f: "absent", first.recipe)
        job, _, paths = tool.prepare(args, further)
        assert job.start == first.recipe.adapter
        assert Path(paths.start) == base.adapter_folder(tool._folder, first.recipe.adapter).resolve()

    def test_one_that_learned_nothing_is_no_candidate(self, tool: FineTune, evidence: Evidence) -> None:
        change = {"epochs": 1, "method": "full", "rate": 1e-6}
        args = FineTuneArgs.model_validate({**QUICK, "change": change})
        found = tool.run(args, evidence)
        assert (found.recipe, found.in_vain) == (None, True)
        assert "Nothing was learned" in found.text
        assert not tool.train(args, evidence).learned


@pytest.fixture
def tool(tmp_path: Path) -> FineTune:
    return FineTune(tmp_path, Faces())


def prepared(
    tool: FineTune, evidence: Evidence | None = None, **args: Any
) -> tuple[Job, list[data.Row]]:
    given = FineTuneArgs.model_validate({"recombined": 0, **args})
    job, rows, _ = tool.prepare(given, evidence or small.evidence())
    return job, list(data.load(rows))


def test_only_the_shown_part_of_train_is_learned_from(tool: FineTune) -> None:
    notes = corpus(30)
    seen = small.evidence(notes[:20])
    held = Evidence(seen.fields, seen.recipe, seen.examples, seen.answers, seen.scored, train=notes)
    _, rows = prepared(tool, held)
    assert {row.id for row in rows} == {e.id for e in notes[:20]}


def test_a_student_can_be_trained_to_be_asked_all_fields_at_once(tool: FineTune) -> None:
    job, rows = prepared(tool, together=True)
    assert {row.fields for row in rows} == {tuple(f.name for f in small.evidence().fields)}
    assert len(rows) == len(small.NOTES)
    assert job != prepared(tool)[0]
    joint = small.recipe().model_copy(update={"mode": "joint"})
    assert prepared(tool, small.evidence(said=joint))[1] == rows
    retrieving = joint.model_copy(update={"mode": "per_field", "index": IndexRef(digest="0", k=1)})
    with pytest.raises(InputError, match="cannot be asked all fields at once"):
        prepared(tool, small.evidence(said=retrieving), together=True)


def test_a_student_that_is_asked_all_fields_from_now_on_gets_room_for_its_answers() -> None:
    recipe, args = small.recipe(), FineTuneArgs(together=True)
    few = tuple(LabelField(name=f"sign {i}", values=("present", "absent")) for i in range(3))
    many = tuple(LabelField(name=f"sign number {i}", values=("present", "absent")) for i in range(60))
    assert asked_as(args, recipe, few).decoding == recipe.decoding
    assert asked_as(args, recipe, many).decoding.max_tokens == lengths.limit([many]) > 1000
    assert asked_as(FineTuneArgs(), recipe, many).decoding == recipe.decoding


def test_what_decides_the_weights_is_the_identity(tool: FineTune) -> None:
    job, _ = prepared(tool)
    assert prepared(tool, reason="why not", expected_gain=0.5)[0] == job
    assert job.hyper == PROFILES["standard"].model_copy(update={"method": "full"})
    assert (job.base.digest, job.data) == (base.model_digest(small.model()), job.data)
    others: list[dict[str, Any]] = [
        {"profile": "thorough"},
        {"change": {"rank": 8}},
        {"fields": ["rash"]},
    ]
    for other in others:
        assert prepared(tool, **other)[0].fingerprint != job.fingerprint
    assert prepared(tool, change={"rank": 8})[0].hyper.rank == 8
    assert prepared(tool, small.evidence(corpus(12)))[0].fingerprint != job.fingerprint


def test_a_small_model_learns_from_notes_put_together_anew(tool: FineTune) -> None:
    """By itself for one epoch, all its weights; other methods and no new notes if that is asked for."""
    seen = small.evidence(corpus(40))
    job, rows = prepared(tool, seen, recombined=None)
    made = [row for row in rows if row.id.startswith(PREFIX)]
    assert len({row.id for row in made}) > 40
    assert {row.group for row in made} <= {e.group for e in seen.examples}
    assert (job.hyper.method, job.hyper.epochs, job.hyper.validation) == ("full", 1, 0.0)
    some = [row for row in prepared(tool, seen, recombined=30)[1] if row.id.startswith(PREFIX)]
    assert 0 < len({row.id for row in some}) <= 30
    plain, rows = prepared(tool, seen, change={"method": "lora"})
    assert not any(row.id.startswith(PREFIX) for row in rows)
    assert (plain.hyper.method, plain.hyper.epochs) == ("lora", PROFILES["standard"].epochs)


def test_notes_that_cannot_be_put_together(tool: FineTune) -> None:
    short = tuple(e.model_copy(update={"text": "Seen today."}) for e in corpus(20))
    with pytest.raises(InputError, match="cannot be put together anew"):
        prepared(tool, small.evidence(short), recombined=50)
    job, rows = prepared(tool, small.evidence(short), recombined=None)
    assert {row.id for row in rows} == {e.id for e in short}
    assert job.hyper.epochs == PROFILES["standard"].epochs


def test_errors_weigh_more(tool: FineTune) -> None:
    _, rows = prepared(tool, weight_errors=3)
    assert {row.times for row in rows} == {1, 3}
    assert {"unknown" in row.answer for row in rows if row.times == 3} == {False}


@pytest.mark.parametrize(
    "change", [{"rank": 128}, {"rate": 1.0}, {"epochs": 0}, {"epochs": 21}, {"warmup": 2}, {"steps": 3}]
)
def test_hyper_parameters_out_of_bounds(tool: FineTune, change: dict[str, JsonValue]) -> None:
    with pytest.raises(InputError, match="fine_tune: change"):
        Toolbox([tool]).validate(ToolCall(id="1", name="fine_tune", args={"change": change}))


@pytest.mark.parametrize("spec", ["openai:gpt-4o", "simulated", "ollama:mine:latest", "nano"])
def test_a_student_that_cannot_be_trained(tool: FineTune, spec: str) -> None:
    said = small.recipe().model_copy(update={"model": ModelRef(spec=spec)})
    with pytest.raises(InputError, match=r"cannot be trained|not known which weights"):
        prepared(tool, small.evidence(said=said))


def test_a_model_that_no_way_leads_back_from(tmp_path: Path) -> None:
    odd = Path(shutil.copytree(small.model(), tmp_path / "odd"))
    config = json.loads((odd / "config.json").read_bytes())
    (odd / "config.json").write_text(json.dumps({**config, "architectures": ["OddForCausalLM"]}))
    served = Faces(configured={"mine": odd, "other": small.model()})
    tool = FineTune(tmp_path, served)
    for name, refused in (("mine", True), ("other", False)):
        said = small.recipe().model_copy(
            update={"model": ModelRef(spec=f"ollama:{name}", digest="x" * 20)}
        )
        if refused:
            with pytest.raises(InputError, match="cannot import weights of architecture 'OddForC"):
                prepared(tool, small.evidence(said=said))
        else:
            assert prepared(tool, small.evidence(said=said))[0].base.spec == "ollama:other"


def test_served_weights_need_a_way_back(tmp_path: Path) -> None:
    tool = FineTune(tmp_path, Faces(configured={"mine": small.model()}))
    spec = ModelRef(spec="ollama:preceptor/t:1", digest="x" * 20, base="ollama:mine")
    said = small.recipe().model_copy(update={"model": spec})
    assert prepared(tool, small.evidence(said=said))[0].base.spec == "ollama:mine"
    with pytest.raises(InputError, match="must go back to its server"):
        tool.run(FineTuneArgs(recombined=0), small.evidence(said=said))
    assert not (tmp_path / "jobs").exists()


class Shut:
    """A server that takes no weights."""

    def way(self, recipe: Recipe, face: Face, method: str | None, whole: bool) -> Way:
        raise AssertionError

    def check(self, recipe: Recipe, face: Face, evidence: Evidence) -> None:
        raise InputError("too few prompts")

    def bring(self, recipe: Recipe, face: Face, evidence: Evidence) -> tuple[Recipe, str]:
        raise AssertionError


def test_what_could_not_be_served_is_not_proposed(tmp_path: Path) -> None:
    served = small.recipe().model_copy(update={"model": ModelRef(spec="ollama:mine")})
    faces = Faces(configured={"mine:latest": small.model()})
    notes = corpus(45)
    assert FineTune(tmp_path, faces).prospects(small.evidence(notes))
    for home in (None, Shut()):
        tool = FineTune(tmp_path, faces, FineTuneOptions(home=home))
        assert tool.prospects(small.evidence(notes, served)) == []
    with pytest.raises(InputError, match="too few prompts"):
        tool.run(FineTuneArgs(recombined=0), small.evidence(notes, served))
    assert not (tmp_path / "jobs").exists()


def test_many_fields_in_one_call_are_proposed_first_but_not_for_tiny_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = corpus(45)
    tool = FineTune(tmp_path, Faces(configured={"mine:latest": small.model()}))
    seen = small.evidence(notes)
    many = tuple(seen.fields[0].model_copy(update={"name": f"f{i}"}) for i in range(3))

    def proposed(evidence: Evidence) -> list[bool]:
        return ["together" in found.args for found in tool.prospects(evidence)]

    asked = replace(seen, fields=many)
    assert proposed(asked) == [False]  # A tiny model was only ever taught single fields.
    monkeypatch.setattr(finetune, "SMALL", 0)
    assert proposed(asked) == [True, False]
    assert proposed(replace(seen, fields=many[:2])) == [False]
    joint = seen.recipe.model_copy(update={"mode": "joint"})
    assert proposed(replace(asked, recipe=joint)) == [False]


def test_guards_speak_before_anything_starts(tmp_path: Path) -> None:
    few = frozenset(e.id for e in small.NOTES[:5])
    tool = FineTune(tmp_path, Faces(), FineTuneOptions(guard=data.Guard(allowed=few)))
    with pytest.raises(InputError, match="not in train"):
        prepared(tool)
    with pytest.raises(InputError, match="too few"):
        prepared(FineTune(tmp_path, Faces()), small.evidence(small.NOTES[:7]))
    assert not (tmp_path / "jobs").exists()


def test_an_adapter_for_another_base(tmp_path: Path) -> None:
    ref = AdapterRef(digest=base.weights_digest({}))
    folder = base.adapter_folder(tmp_path, ref)
    folder.mkdir(parents=True)
    about = base.About(adapter=ref, base=digest("another"), spec="hf:another", job="x")
    base.write_about(folder, about)
    tool = FineTune(tmp_path, Faces())
    with pytest.raises(InputError, match="was trained on 'hf:another'"):
        prepared(tool, small.evidence(said=small.recipe(adapter=ref)))
    missing = AdapterRef(digest="0" * 20)
    with pytest.raises(InputError, match="no trained weights"):
        prepared(tool, small.evidence(said=small.recipe(adapter=missing)))
    (folder / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="are damaged"):
        prepared(tool, small.evidence(said=small.recipe(adapter=ref)))


def test_an_index_needs_its_retriever(tool: FineTune) -> None:
    said = small.recipe().model_copy(update={"index": IndexRef(digest="0" * 20)})
    with pytest.raises(InputError, match="no retriever was given"):
        prepared(tool, small.evidence(said=said))


def test_nothing_starts_that_does_not_fit_the_budget(tmp_path: Path) -> None:
    def broke(key: str, seconds: float) -> Any:
        raise BudgetStop("nothing left")

    tool = FineTune(tmp_path, Faces(), FineTuneOptions(reserve=broke))
    with pytest.raises(BudgetStop):
        tool.run(FineTuneArgs(recombined=0), small.evidence())
    assert not (tmp_path / "jobs").exists()


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "models--Qwen--Qwen2.5-0.5B-Instruct"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots").mkdir()
    (folder / "snapshots" / "abc").symlink_to(small.model())
    return tmp_path


def test_the_faces_of_served_students(hub: Path) -> None:
    faces = Faces(hub=hub)
    found = faces(ModelRef(spec="ollama:qwen2.5:0.5b", digest="ollama's own"))
    assert found == Face(
        hub / "models--Qwen--Qwen2.5-0.5B-Instruct" / "snapshots" / "abc",
        base.model_digest(small.model()),
        served=True,
    )
    with pytest.raises(InputError, match=r"hf download meta-llama/Llama-3\.2-3B-Instruct"):
        faces(ModelRef(spec="ollama:llama3.2"))
    with pytest.raises(InputError, match=r"no model in"):
        faces(ModelRef(spec="hf:nowhere"))
    own = Faces(nano=small.model())(ModelRef(spec="nano", digest="d" * 20))
    assert (own.folder, own.digest, own.served) == (small.model(), "d" * 20, False)


def weakly(tmp_path: Path, said: dict[str, str]) -> FineTune:
    """Return a tool that knows weak labels: ``said`` on rash, by two voters at odds on nausea."""
    votes = {
        "one": [Vote(values={"rash": said[e.id], "nausea": "present"}) for e in small.NOTES],
        "two": [Vote(values={"rash": said[e.id], "nausea": "absent"}) for e in small.NOTES],
    }
    hidden = tuple(e.model_copy(update={"gold": None}) for e in small.NOTES)
    found = Labelled(combine(hidden, small.evidence().fields, votes), hidden)
    return FineTune(tmp_path, Faces(), FineTuneOptions(weak=lambda name: found))


def test_weak_labels_are_learned_from_with_care(tmp_path: Path) -> None:
    said = {e.id: "present" if i % 2 else "unknown" for i, e in enumerate(small.NOTES)}
    tool = weakly(tmp_path, said)
    use = {"labels": "a" * 20}
    _, rows = prepared(tool, data="weak", weak=use)
    assert {row.fields for row in rows} == {("rash",)}  # On nausea they differ.
    assert {row.id: row.answer for row in rows} == {i: f'{{"rash": "{v}"}}' for i, v in said.items()}
    _, heavy = prepared(tool, data="weak", weak={**use, "weight": 3, "min_agreement": 0.5})
    assert {(row.fields, row.times) for row in heavy} == {(("rash",), 3), (("nausea",), 2)}
    with pytest.raises(InputError, match="too few"):
        prepared(tool, data="weak", weak={**use, "absent": "unknown"})
    _, gold = prepared(tool)
    assert prepared(tool, data="both", weak=use)[1] == gold  # Gold goes before.


def test_weak_labels_of_patients_that_are_held_out_are_not_learned_from(tmp_path: Path) -> None:
    said = {e.id: "present" if i % 2 else "unknown" for i, e in enumerate(small.NOTES)}
    tool = weakly(tmp_path, said)
    whole = small.evidence()
    groups = sorted({e.group for e in whole.examples})
    shown = [i for i, e in enumerate(whole.examples) if e.group in groups[:-1]]
    part = replace(
        whole,
        examples=tuple(whole.examples[i] for i in shown),
        answers=tuple(whole.answers[i] for i in shown),
        scored=tuple(whole.scored[i] for i in shown),
        train=whole.examples,
    )
    args = FineTuneArgs.model_validate({"data": "weak", "weak": {"labels": "a" * 20}})
    assert {row.id for row in data.load(tool.prepare(args, part)[1])} == {e.id for e in part.examples}
    every = data.load(tool.prepare(args, replace(part, train=()))[1])
    assert {row.id for row in every} == {e.id for e in small.NOTES}


def test_weak_labels_that_are_not_there(tmp_path: Path, tool: FineTune) -> None:
    use = {"labels": "a" * 20}
    wrong: list[dict[str, Any]] = [{"data": "weak"}, {"weak": use}]
    for args in wrong:
        with pytest.raises(InputError, match="do not go together"):
            prepared(tool, **args)
    with pytest.raises(InputError, match="no weak labels in this run"):
        prepared(tool, data="weak", weak=use)
    said = dict.fromkeys((e.id for e in small.NOTES), "present")
    known = weakly(tmp_path, said)._options.weak
    guard = data.Guard(allowed=frozenset())
    nowhere = FineTune(tmp_path, Faces(), FineTuneOptions(guard, weak=known))
    with pytest.raises(InputError, match="not in train"):
        prepared(nowhere, data="weak", weak=use)
