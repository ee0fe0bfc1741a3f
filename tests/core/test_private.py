"""What a run, a bundle or an export leaves on the disk is its owner's alone, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.cli.checks import privacy
from preceptor.core import private
from preceptor.core.cache import AnswerCache
from preceptor.core.files import JsonLines, write_whole
from preceptor.core.runs import RunStore
from preceptor.graphs import bundle


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> set[tuple[bool, str]]:
    """Return the modes of a folder and all in it: (whether a folder, mode)."""
    return {(path.is_dir(), oct(path.stat().st_mode & 0o777)) for path in (folder, *folder.rglob("*"))}


OWNED = {(True, "0o700"), (False, "0o600")}


def test_the_parts_of_a_run_are_private_from_their_first_byte(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path / "runs", "one", {})
    run.trace.append("prepared", {}, "k")
    run.artefacts.put("text of a note")
    AnswerCache(run.path / "cache.sqlite").close()
    JsonLines(run.path / "egress.jsonl").append({})
    write_whole(run.path / "report.txt", b"x")
    with run.lock():
        (run.path / "made-by-a-library").write_text("text")
    assert modes(run.path) == OWNED
    (tmp_path / "other").write_text("")
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o666, "the umask is as it was"


def test_a_run_its_bundle_and_its_answers_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    word = [
        "refine",
        "tests.graphs.small:task",
        "--student",
        "simulated",
        "--rounds",
        "1",
        "--name",
        "r",
    ]
    assert main(word) == 0
    assert modes(tmp_path / "runs" / "r") <= OWNED
    assert (tmp_path / "runs" / "r" / "bundle").stat().st_mode & 0o777 == 0o700
    assert os.umask(0) == 0


def test_a_bundle_that_is_written_from_open_parts_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "adapter.bin").write_bytes(b"x")
    (folder / "run.sh").write_text("true")
    (folder / "run.sh").chmod(0o777)
    private.close(folder)
    assert modes(folder) == OWNED | {(False, "0o700")}


def test_doctor_says_what_others_may_read_and_what_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    run = RunStore.create(runs, "one", {}).path
    assert privacy(runs).state == "ok"
    run.chmod(0o755)
    (run / "report.txt").write_text("x")
    found = privacy(runs)
    assert (found.state, found.mend) == ("note", f"chmod -R go= {runs}")
    assert "2 folders and files" in found.found
    main(["doctor", "--runs-dir", str(runs)])
    assert "go=" in capsys.readouterr().out
    run.chmod(0o700)
    assert privacy(runs).state == "ok", "nobody else may enter the folder"


def test_every_file_of_a_bundle_is_closed(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"x")
    made = _bundle()
    kept = bundle.Kept(source="x", adapter=adapter, tokenizer=adapter)
    assert modes(bundle.write_to(tmp_path / "out" / "bundle", made, {}, kept)) == OWNED


def _bundle() -> bundle.Bundle:
    from preceptor.core.fields import LabelField
    from preceptor.core.records import ModelRef, Prompt, Recipe

    return bundle.Bundle(
        task="t",
        task_fingerprint="f",
        synthetic=True,
        fields=(LabelField(name="pain", values=("yes", "no")),),
        recipe=Recipe(model=ModelRef(spec="nano"), prompt=Prompt(instruction="x")),
        seals={},
    )
