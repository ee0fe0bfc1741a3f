"""Addresses that are none, and what doctor says of what is configured: one line each, no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.cli import main

Captured = pytest.CaptureFixture[str]
WRONG = ["127.0.0.1:99999", "127.0.0.1:xx", "[::1", "http://user:pa/ss@h:11434", "ftp://h:1"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", WRONG)
def test_an_address_that_is_none_is_one_line(
    host: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert main(["doctor", "--student", "ollama:x"]) == 5
    said = capsys.readouterr().out
    assert "OLLAMA_HOST holds no address  → write it as http://HOST:PORT" in said
    assert "pa/ss" not in said
    assert main(["eval", f"openai:x@http://{host.partition('//')[2] or host}/v1", "--task", "toxicity"])
    assert "Traceback" not in capsys.readouterr().err


def missing(capsys: Captured, *given: str) -> str:
    """Return what doctor says is missing."""
    main(["doctor", *given])
    lines = capsys.readouterr().out.splitlines()
    return "\n".join(line for line in lines if line.startswith("MISSING"))


def test_a_teacher_that_cannot_teach_is_missing(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert missing(capsys) == ""
    assert "no teacher 'foo'" in missing(capsys, "--set", "teacher=foo")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    away = missing(capsys, "--set", "teacher=openai:gpt-4o", "--set", "egress=local-only")
    assert "openai:gpt-4o: the policy lets nothing out" in away
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    assert "no server answers  → ollama serve" in missing(capsys, "--set", "teacher=ollama:big")
    with OllamaServer(models={"big": 4096}) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        assert missing(capsys, "--set", "teacher=ollama:big") == ""
        assert "ollama pull huge" in missing(capsys, "--set", "teacher=ollama:huge")


def test_an_embedder_that_does_not_answer_is_missing(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "embedder" in missing(capsys, "--set", "embedder=foo:bar")
    assert missing(capsys, "--set", "embedder=hash:64") == ""
    remote = ["--set", "embedder=openai:e@https://h.example/v1", "--set", "egress=local-only"]
    assert "the policy lets nothing out" in missing(capsys, *remote)


def test_a_file_is_no_folder_for_runs(capsys: Captured) -> None:
    Path("notes.jsonl").write_text("")
    assert "runs folder" in missing(capsys, "--runs-dir", "notes.jsonl")


def test_a_password_in_a_prices_name_is_never_shown(capsys: Captured) -> None:
    name = 'prices."openai:x@http://u:secret@h/v1"'
    assert main(["config", "--set", f"{name}.input=1", "--set", f"{name}.output=1"]) == 0
    assert main(["config", "--set", f"{name}.input=1"]) == 2
    said = "".join(capsys.readouterr())
    assert "://***@h/v1" in said
    assert "secret" not in said.replace("secrets", "")
