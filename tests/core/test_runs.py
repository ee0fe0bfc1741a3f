import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.core import runs
from preceptor.core.errors import InputError, StoreError
from preceptor.core.record import digest
from preceptor.core.records import ModelRef, Prompt, Recipe
from preceptor.core.runs import Artefacts, RunStore


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    return RunStore.create(tmp_path / "runs", "first", {"task": "toxicity", "seed": 1})


def test_a_run_is_made_and_opened(run: RunStore) -> None:
    assert run.path.name == run.name == "first"
    opened = RunStore.open(run.path)
    assert opened.config == {"task": "toxicity", "seed": 1}
    assert opened.info == run.info
    said = json.loads((run.path / "run.json").read_text())
    assert set(said) == {"format", "created", "program", "config"}
    assert sorted(p.name for p in run.path.iterdir()) == ["artefacts", "run.json"]
    assert [p.name for p in run.path.parent.iterdir()] == ["first"]


def test_what_one_process_writes_the_next_one_reads(run: RunStore) -> None:
    from preceptor.core.records import Answer

    run.trace.append("k", {}, "1")
    run.cache.put_many("r", {"e": Answer(example_id="1", record=None)})
    name = run.artefacts.put("text")
    run.cache.close()
    again = RunStore.open(run.path)
    assert [event.key for event in again.trace] == ["1"]
    assert set(again.cache.get_many("r", ["e"])) == {"e"}
    assert again.artefacts.get(name) == b"text"
    again.cache.close()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../up", "a b", "x" * 101, "é", "a\n"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="run name"):
        RunStore.create(tmp_path / "runs", name, {})
    assert not (tmp_path / "runs").exists()


def test_an_existing_run_is_not_touched(run: RunStore) -> None:
    with pytest.raises(StoreError, match=r"exists already.*resume it"):
        RunStore.create(run.path.parent, "first", {"task": "other"})
    assert RunStore.open(run.path).config["task"] == "toxicity"
    assert [p.name for p in run.path.parent.iterdir()] == ["first"]


def test_of_many_who_make_the_same_run_one_does(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from preceptor.core.runs import RunStore\n"
        "from preceptor.core.errors import StoreError\n"
        "try: RunStore.create(Path(sys.argv[1]), 'same', {'who': sys.argv[2]})\n"
        "except StoreError: sys.exit(2)"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(i)]) for i in range(3)]
    codes = [child.wait(60) for child in children]
    assert sorted(codes) == [0, 2, 2]
    assert RunStore.open(tmp_path / "same").config == {"who": str(codes.index(0))}
    assert [p.name for p in tmp_path.iterdir()] == ["same"]


def test_what_is_no_run_is_said_in_one_line(tmp_path: Path, run: RunStore) -> None:
    file = run.path / "run.json"
    with pytest.raises(StoreError, match="is not a run"):
        RunStore.open(tmp_path / "missing")
    with pytest.raises(StoreError, match="is not a run"):
        RunStore.open(file)
    for damaged in (b"", b"{", b"\xff\xfe", b"[]", b'{"format": 1}', b'{"format": "one"}'):
        file.write_bytes(damaged)
        with pytest.raises(StoreError, match="is damaged") as caught:
            RunStore.open(run.path)
        assert "\n" not in str(caught.value)


def test_a_newer_run_is_refused_with_the_program_that_reads_it(run: RunStore) -> None:
    newer = {"format": 2, "program": "7.0", "anything": "else"}
    (run.path / "run.json").write_text(json.dumps(newer))
    with pytest.raises(StoreError, match=r"format 2, this program reads up to 1 .use preceptor 7\.0"):
        RunStore.open(run.path)


def test_a_stop_file_is_seen_and_taken_away(run: RunStore) -> None:
    assert not run.stop_requested
    (run.path / "stop").touch()
    assert run.stop_requested
    run.clear_stop()
    run.clear_stop()
    assert not run.stop_requested


def test_runs_are_listed_with_what_is_wrong_with_them(run: RunStore) -> None:
    root = run.path.parent
    RunStore.create(root, "second", {})
    (root / "second" / "run.json").write_text("{")
    (root / "no-run").mkdir()
    (root / ".half.1.tmp").mkdir()
    (root / ".half.1.tmp" / "run.json").write_text("{}")
    with run.lock():
        listed = {one.path.name: one for one in runs.list_runs(root)}
    assert set(listed) == {"first", "second"}
    assert listed["first"].info == run.info
    assert str(os.getpid()) in (listed["first"].holder or "")
    assert listed["second"].info is None
    assert "damaged" in listed["second"].problem
    assert runs.list_runs(root / "nowhere") == []


def test_only_a_run_that_nobody_holds_is_removed(run: RunStore, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    link = run.path.parent / "link"
    link.symlink_to(run.path)
    for path in (precious, link, tmp_path / "missing"):
        with pytest.raises(StoreError, match="is not a run"):
            runs.remove(path)
    with run.lock(), pytest.raises(StoreError, match="in use"):
        runs.remove(run.path)
    assert RunStore.open(run.path).config
    assert (precious / "file").exists()
    link.unlink()
    runs.remove(run.path)
    assert list(run.path.parent.iterdir()) == []


@given(st.binary(max_size=100) | st.text(max_size=50))
def test_an_artefact_comes_back_by_its_hash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes | str
) -> None:
    store = Artefacts(tmp_path_factory.getbasetemp() / "artefacts")
    name = store.put(data)
    assert name == digest(data) == store.put(data)
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    assert store.get(name) == raw


def test_a_record_is_stored_under_its_fingerprint(run: RunStore) -> None:
    recipe = Recipe(model=ModelRef(spec="nano"), prompt=Prompt(rules=("é",)))
    assert run.artefacts.put_record(recipe) == recipe.fingerprint
    assert run.artefacts.get_record(recipe.fingerprint, Recipe) == recipe
    with pytest.raises(StoreError, match="is no ModelRef"):
        run.artefacts.get_record(recipe.fingerprint, ModelRef)


def test_a_missing_or_damaged_artefact_is_noticed_and_can_be_put_again(run: RunStore) -> None:
    with pytest.raises(StoreError, match="is missing"):
        run.artefacts.get("0" * 20)
    for wrong in ("../../run.json", "", "xyz"):
        with pytest.raises(StoreError, match="is not a content hash"):
            run.artefacts.get(wrong)
    name = run.artefacts.put("text")
    run.artefacts.path(name).write_text("tex!")
    with pytest.raises(StoreError, match="does not match"):
        run.artefacts.get(name)
    assert run.artefacts.put("text") == name
    assert run.artefacts.get(name) == b"text"


def test_threads_may_put_the_same_artefact(run: RunStore) -> None:
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(run.artefacts.put("x" * 10**5))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == [digest("x" * 10**5)] * 8
    assert len([p for p in (run.path / "artefacts").rglob("*") if p.is_file()]) == 1


def test_every_opening_of_a_test_set_is_kept_and_a_resumed_one_counts_once(tmp_path: Path) -> None:
    assert runs.openings(tmp_path, "toxicity") == []
    runs.log_opening(tmp_path, "toxicity", "t1", "run-a", "r1")
    runs.log_opening(tmp_path, "psytar", "t2", "run-b", "r1")
    runs.log_opening(tmp_path, "toxicity", "t1", "run-a", "r1")
    runs.log_opening(tmp_path, "toxicity", "t1", "run-c", "r2")
    with (tmp_path / "openings.jsonl").open("a") as file:
        file.write('{"time": "torn')
    runs.log_opening(tmp_path, "toxicity", "t1", "run-c", "r3")
    found = runs.openings(tmp_path, "toxicity")
    assert [(one.run, one.recipe) for one in found] == [
        ("run-a", "r1"),
        ("run-c", "r2"),
        ("run-c", "r3"),
    ]
    assert found[0].test_digest == "t1"
