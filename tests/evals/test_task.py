"""Tasks from Python objects, pydantic models and entry points; the real and the fetched data."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from benchmarks import real_data
from preceptor.core.errors import TaskError
from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Example
from preceptor.evals import check, duplicates, splits
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task, names, resolve
from preceptor.evals.tasks import fetch, psytar


class Finding(BaseModel):
    """What the note says of the chest."""

    cough: Literal["yes", "no", "unknown"] = Field(default="unknown", description="a cough today")
    drugs: list[str] = Field(description="drug names")


def example(i: int, **more: object) -> Example:
    return Example(
        id=f"n{i}", group=f"p{i}", text=f"note {i}", gold={"cough": "yes", "drugs": []}
    ).model_copy(update=more)


def test_a_task_from_a_model() -> None:
    task = Task.from_model(Finding, [example(i) for i in range(9)])
    assert (task.name, task.description) == ("finding", "What the note says of the chest.")
    assert task.fields == (
        LabelField(name="cough", values=("yes", "no", "unknown"), default="unknown"),
        ListField(name="drugs", of="drug names"),
    )
    assert task.prompt.guide("cough").meaning == "a cough today"


def test_a_model_with_another_kind_of_field() -> None:
    class Bad(BaseModel):
        age: int

    with pytest.raises(TaskError, match="model 'Bad', field 'age'"):
        Task.from_model(Bad, [])


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ([example(0), example(0)], "'n0': this id occurs twice"),
        ([example(0, text=" ")], "'n0': the text is empty"),
        ([example(0, gold={"cough": "maybe"})], "allowed labels: yes, no, unknown"),
        ([example(0, gold={"fever": "yes"})], "'fever' is no field"),
    ],
)
def test_bad_examples(examples: list[Example], expected: str) -> None:
    with pytest.raises(TaskError, match=expected):
        Task.from_model(Finding, examples)


MODULE = """
from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.evals.task import Task
value = Task(name="mine", fields=(LabelField(name="a", values=("x", "y")),))
def made(): return value
def from_folder(data_dir=None): return value.model_copy(update={"source": str(data_dir)})
def wrong(): return 3
def fails(): raise KeyError("what")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


def test_python_objects_of_the_working_folder(module: str) -> None:
    assert resolve(f"{module}:value").name == "mine"
    assert resolve(f"{module}:made").name == "mine"
    assert resolve(f"{module}:from_folder", Path("there")).source == "there"


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [("none", "cannot be loaded"), ("wrong", "type 'int'"), ("fails", "failed: KeyError")],
)
def test_broken_python_objects(module: str, attribute: str, expected: str) -> None:
    with pytest.raises(TaskError, match=expected):
        resolve(f"{module}:{attribute}")


def test_built_in_tasks_come_through_entry_points() -> None:
    assert {"toxicity", "toxicity-l", "psytar", "psytar-l"} <= set(names())
    with pytest.raises(TaskError, match=r"no task 'toxcity'; installed: .*toxicity"):
        resolve("toxcity")
    with pytest.raises(TaskError, match="cannot be loaded"):
        resolve("no_such_module_here:task")


def fake_psytar(folder: Path, n: int = 60) -> Path:
    for part in psytar.FILES:
        lines = ["sentences\tADR\tWD\tEF\tINF\tSSI\tDI"]
        lines += [f"{part} patient {i} slept badly on it\t{i % 2}\t0\t0\t0\t0\t1" for i in range(n)]
        lines.append('"the same words, in ""every"" file of it"\t0\t1\t0\t0\t0\t0')
        path = folder / "psytar" / "binary" / f"{part}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_psytar_is_read_as_its_files_have_it(tmp_path: Path) -> None:
    task = resolve("psytar", fake_psytar(tmp_path))
    same = [e for e in task.examples if "every" in e.text]
    assert len(task.examples) == 183
    assert len({e.group for e in same}) == 1
    assert {str(e.meta["authors_split"]) for e in same} == set(psytar.FILES)
    assert task.examples[1].gold == {n: "yes" if n in ("ADR", "DI") else "no" for n in psytar.MEANINGS}


def test_psytar_without_its_data_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="preceptor tasks fetch psytar"):
        resolve("psytar", tmp_path)
    folder = fake_psytar(tmp_path)
    (folder / "psytar/binary/dev.csv").write_text("sentences\tADR\nx\t1\n", encoding="utf-8")
    with pytest.raises(TaskError, match=r"dev.csv, line 2: not the columns"):
        resolve("psytar", folder)


@pytest.mark.skipif(bool(real_data.missing("psytar")), reason=real_data.missing("psytar"))
def test_the_real_psytar() -> None:
    task = resolve("psytar", real_data.folder())
    made = splits.make(task)
    assert len(task.examples) == 6002
    assert sum((e.gold or {})["ADR"] == "yes" for e in task.examples) == 2168
    assert [len(made.ids(p)) for p in splits.PARTS] == [200, 150, 300]
    assert duplicates.across(task.examples, made) == []
    larger = splits.make(resolve("psytar-l", real_data.folder()))
    assert [len(larger.ids(p)) for p in splits.PARTS] == [2000, 300, 600]
    assert duplicates.across(task.examples, larger) == []


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "home"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "a.csv").write_text("a", encoding="utf-8")
    (folder / "b.csv").write_text("b", encoding="utf-8")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


def known(base: str) -> fetch.Download:
    files = {"x/a.csv": hashlib.sha256(b"a").hexdigest(), "b.csv": hashlib.sha256(b"b").hexdigest()}
    return fetch.Download(base, files, "CC0")


def test_fetch_puts_checked_files_in_place_and_asks_only_once(
    home: tuple[str, Path], tmp_path: Path
) -> None:
    place = fetch.fetch("d", tmp_path / "data", known(home[0]))
    assert (place / "x" / "a.csv").read_text() == "a"
    (home[1] / "b.csv").unlink()
    said: list[str] = []
    fetch.fetch("d", tmp_path / "data", known(home[0]), said.append)
    assert said == [f"{place}: already there"]
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["d"]


def test_fetch_leaves_nothing_when_a_file_is_wrong(home: tuple[str, Path], tmp_path: Path) -> None:
    (home[1] / "b.csv").write_text("other", encoding="utf-8")
    with pytest.raises(TaskError, match=r"b.csv: not the file it should be"):
        fetch.fetch("d", tmp_path / "data", known(home[0]))
    assert [p for p in (tmp_path / "data").rglob("*") if p.is_file()] == []


def test_fetch_without_network_or_of_something_unknown(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot be fetched") as caught:
        fetch.fetch("d", tmp_path, known("http://127.0.0.1:9/"))
    assert "\n" not in str(caught.value)
    with pytest.raises(TaskError, match="no data to fetch for 'x'"):
        fetch.fetch("x", tmp_path)


def test_near_duplicates_are_found_and_others_are_not() -> None:
    base = "the patient slept badly on this drug and felt tired for most of the day"
    texts = [base, base.upper() + "!", base + " again", "another sentence about something else"]
    assert {(i, j) for i, j, _ in duplicates.pairs(texts)} == {(0, 1), (0, 2), (1, 2)}
    assert duplicates.clusters(texts) == [0, 0, 0, 3]


def test_prefix_filtering_loses_no_pair() -> None:
    words = [f"w{i % 7} w{i % 5} w{i % 3} w{i % 4} w{i % 6} w{i % 2}" for i in range(80)]
    sets = [duplicates.shingles(w) for w in words]
    slow = {
        (i, j)
        for j in range(80)
        for i in range(j)
        if len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= 0.5
    }
    assert {(i, j) for i, j, _ in duplicates.pairs(words, 0.5)} == slow
    assert slow


def test_check_names_what_is_odd_and_quotes_nothing() -> None:
    twin = "secret words that stand here twice in two different notes of two patients"
    notes = [example(i, text=twin if i in (1, 2) else f"note {i}") for i in range(30)]
    given = {1: "train", 2: "test"}
    notes = [
        e.model_copy(update={"meta": {"split": given[i]} if i in given else {}})
        for i, e in enumerate(notes)
    ]
    task = Task.from_model(Finding, notes, SplitSpec(train=10, dev=10, test=10))
    found = check.check(task)
    assert found.near_duplicates == (("n1", "n2", 1.0),)
    shown = check.text(found)
    assert "warning: 1 near-duplicates stand in different parts" in shown
    assert "dev has 10 groups: under 15 nothing can be accepted" in shown
    assert "most of the examples have one label in the fields 'cough' 100%, " in shown
    assert "secret" not in shown
    assert check.Check.from_json(found.to_json()) == found


def test_check_of_lists_warns_of_empty_ones_and_of_items_that_cannot_be_copied() -> None:
    def warned(gold: list[str]) -> str:
        field = ListField(name="drugs", copied=True)
        notes = [
            Example(id=f"n{i}", group=f"p{i}", text=f"aspirin {i}", gold={"drugs": [*gold]})
            for i in range(60)
        ]
        return check.text(check.check(Task(name="t", fields=(field,), examples=tuple(notes))))

    assert "warning" not in warned(["aspirin"])
    assert "field 'drugs': 60 items are copied but do not stand" in warned(["Aspirin"])
    assert "field 'drugs': 100% of the examples have one label" in warned([])


def test_check_finds_nothing_odd_in_toxicity() -> None:
    found = check.check(resolve("toxicity"))
    assert check.text(found).startswith("toxicity: SYNTHETIC, 294 examples of 147 groups")
    assert found.near_duplicates == ()
    assert found.parts["test"].examples == 100
