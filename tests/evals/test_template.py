"""Texts that are put together from several columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.evals import taskfile
from preceptor.evals.data import text_of

ROW: dict[str, JsonValue] = {"title": "Ward", "the body": "Well.", "no": 3, "gap": None, "a{b}": "odd"}


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ("title", "Ward"),
        (" the body ", "Well."),
        ("{title}\n{the body}", "Ward\nWell."),
        (r"{title}\n{ the body }\t\\n", "Ward\nWell.\t\\n"),
        ("{title}{{x}} {no}", "Ward{x} 3"),
        ("{title}|{gap}|", "Ward||"),
        ("{gap}\n{the body}", "\nWell."),
        ("a{b}", "odd"),
    ],
)
def test_a_template_is_filled_in(said: str, made: str) -> None:
    assert text_of(said, ROW, "here").of(ROW, "here") == made


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{title}\n{answer}", "here: no column 'answer' (there are: title, the body, no, gap, a{b})"),
        ("{title", "'{' names no column (write {COLUMN}, and {{ or }} for a brace)"),
        ("{title}}", "'}' names no column"),
        ("{}", "'{}' names no column"),
        ("{{title}}", "names no column (write {COLUMN})"),
    ],
)
def test_a_broken_template_is_one_line(said: str, words: str) -> None:
    with pytest.raises(TaskError) as caught:
        text_of(said, ROW, "here")
    assert words in str(caught.value)


def test_a_row_without_any_text_is_none() -> None:
    made = text_of("{title}: {gap}", ROW, "here")
    with pytest.raises(TaskError, match="columns 'title', 'gap' hold no text"):
        made.of({"title": " ", "gap": ""}, "here")
    with pytest.raises(TaskError, match="column 'gap' holds no text"):
        made.of({"title": "Ward", "gap": ["x"]}, "here")
    with pytest.raises(TaskError, match="here: no column 'gap'"):
        made.of({"title": "Ward"}, "here")
    with pytest.raises(TaskError, match="column 'no' holds no text"):
        text_of("no", ROW, "here").of(ROW, "here")


def write(folder: Path, text: str) -> Path:
    (folder / "n.csv").write_text("id,question,answer,fever\n1,Fever?,Since Monday.,yes\n")
    path = folder / "t.yaml"
    fields = "fields: [{name: fever, values: [yes, no]}]"
    path.write_text(f"{fields}\ndata: {{path: n.csv, columns: {{text: {text}}}}}\n")
    return path


def test_a_task_file_has_one(tmp_path: Path) -> None:
    task = taskfile.load(write(tmp_path, r'"{question}\n{answer}"'))
    assert task.examples[0].text == "Fever?\nSince Monday."
    assert task.template == "{question}\n{answer}"
    plain = taskfile.load(write(tmp_path, "question"))
    assert plain.template == ""
    other = task.model_copy(update={"template": ""})
    assert task.fingerprint == other.fingerprint, "how texts came about is no part of the task"


def test_a_template_without_quotes_or_column_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"data.columns.text: no text \(write a template in quotes"):
        taskfile.load(write(tmp_path, "{question}"))
    with pytest.raises(TaskError, match=r"n\.csv, line 2: no column 'title' \(there are: id, question"):
        taskfile.load(write(tmp_path, "'{title}: {answer}'"))
