"""What is told of wrong data never quotes a note, and no password of a URL is shown or taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core.settings import load, masked

NOTE = "Torvald Eschenlohr came in with burning pain and left against advice"
CANARIES = ("Torvald", "Eschenlohr", "burning", "against")
LONG_LABEL = "Eschenlohr says burning pain, off and on"  # 40 characters

TASK = """name: pains
fields:
  - {name: pain, kind: label, values: [present, absent]}
data: {path: notes.csv, columns: {id: id, text: body}}
"""
ROWS = [f'{i},"{NOTE} {i}",{"present" if i % 2 else "absent"}' for i in range(40)]
HEADED = "id,body,pain\n"

FILES: dict[str, str] = {
    "no header": "\n".join(ROWS),
    "no header, one row": ROWS[0],
    "a short first row without a header": "\n".join(["Torvald,pain,present", *ROWS]),
    "a wrong label": HEADED + "\n".join([*ROWS, f'99,"{NOTE}","{LONG_LABEL}"']),
    "notes as labels": HEADED + "\n".join(f'{i},"{NOTE}","{NOTE}"' for i in range(9)),
    "one label, and long": HEADED + "\n".join(f'{i},"{NOTE} {i}","{LONG_LABEL}"' for i in range(9)),
    "half of one label": HEADED
    + "\n".join(f'{i},"{NOTE} {i}","{LONG_LABEL if i % 2 else ""}"' for i in range(9)),
    "a column twice": f'id,"{NOTE}","{NOTE}"\n' + "\n".join(ROWS),
    "a note as a column": f'id,"{NOTE}",pain\n' + "\n".join(ROWS),
    "too few cells": HEADED + "\n".join([*ROWS, f'"{NOTE}"']),
    "broken quotes": HEADED + "\n".join([*ROWS, f'9,"{NOTE}" x,"present"']),
    "ids twice": HEADED + "\n".join(f'"{NOTE}","{NOTE}",present' for _ in range(3)),
}


@pytest.mark.parametrize("name", FILES)
def test_no_verb_quotes_a_note_of_a_file_that_is_wrong(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.csv").write_text(FILES[name])
    Path("task.yaml").write_text(TASK)
    verbs = (
        ["tasks", "check", "task.yaml"],
        ["tasks", "new", "made", "--from", "notes.csv"],
        ["refine", "task.yaml", "--student", "simulated", "--rounds", "1"],
    )
    for verb in verbs:
        main(verb)
        shown = capfd.readouterr()
        said = shown.out + shown.err
        if name == "a short first row without a header":
            said = said.replace("Torvald", "", 1)  # as short as a name, it may be one
        assert [word for word in CANARIES if word in said] == [], verb


JSON_LINES: dict[str, object] = {
    "a wrong label": {"pain": LONG_LABEL},
    "a field that is a note": {NOTE: "present"},
    "an object": {"pain": {"why": NOTE}},
    "a list": {"pain": [NOTE]},
}


@pytest.mark.parametrize("name", JSON_LINES)
def test_gold_that_is_wrong_is_not_quoted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    row = {"id": "1", "body": NOTE, "gold": JSON_LINES[name]}
    Path("notes.jsonl").write_text(json.dumps(row) + "\n")
    text = TASK.replace("notes.csv", "notes.jsonl").replace("text: body", "text: body, gold: gold")
    Path("task.yaml").write_text(text)
    for verb in (["tasks", "check", "task.yaml"], ["tasks", "new", "made", "--from", "notes.jsonl"]):
        main(verb)
        shown = capfd.readouterr()
        assert [word for word in CANARIES if word in shown.out + shown.err] == [], verb


URLS = {
    "qdrant_url": "http://ada:hunter2@index.example:6333",
    "labeller.batch_url": "https://ada:hun/ter2@batch.example/v1",
    "labeller.model": "openai:m@https://ada:hunter2@host.example/v1",
    "student": "openai:m@http://host.example/v1?api_key=hunter2",
    "teacher": "openai:m@https://:hunter2@host.example/v1",
    "embedder": "openai:m@https://hunter2@host.example/v1",
    "teacher_embedder": "ollama:m@http://a:hunter2@host.example",
}


@pytest.mark.parametrize("key", URLS)
@pytest.mark.parametrize("way", ["option", "variable", "file"])
def test_a_password_in_any_url_is_refused_at_the_door(
    key: str,
    way: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["doctor"]
    if way == "option":
        words += ["--set", f"{key}={URLS[key]}"]
    elif way == "variable":
        monkeypatch.setenv(f"PRECEPTOR_{key.upper().replace('.', '__')}", URLS[key])
    else:
        Path("preceptor.toml").write_text(f'{key} = "{URLS[key]}"\n')
    assert main(words) == 2
    shown = capfd.readouterr()
    assert "a password or key in a URL is no setting" in shown.err
    assert key in shown.err
    assert "hunter2" not in shown.err + shown.out
    assert main(["config", *words[1:]]) in (0, 2)
    shown = capfd.readouterr()
    assert "hunter2" not in shown.err + shown.out
    assert "ter2@" not in shown.err + shown.out


def test_an_address_without_a_scheme_may_hold_no_user_either(tmp_path: Path) -> None:
    from preceptor.core.errors import InputError

    with pytest.raises(InputError, match="qdrant_url"):
        load(None, {}, {"qdrant_url": "ada:hunter2@index.example:6333"})
    kept = load(
        None, {}, {"qdrant_url": "http://index.example:6333", "student": "openai:m@http://a/v1"}
    )
    assert kept.qdrant_url == "http://index.example:6333"


@pytest.mark.parametrize(
    "text",
    [
        "no answer from http://ada:hunter2@host/v1 (HTTP 500)",
        "http://ada:hun/hunter2@host and https://x?token=hunter2&a=1",
        "openai:m@https://a@b:hunter2@host/v1",
    ],
)
def test_whatever_prints_a_url_its_password_is_masked(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shout(*_: object) -> int:
        print(text)
        raise OSError(2, text, text)

    monkeypatch.setattr("preceptor.cli.runs.run", shout)
    main(["runs", "list"])
    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err + masked(text)
    assert "host" in shown.out
