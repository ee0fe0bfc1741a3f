"""The doctor's checks, each against a machine that lacks something."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.cli import checks, main
from preceptor.core.settings import Settings


@contextmanager
def serving(said: object) -> Iterator[str]:
    """Serve one JSON answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_memory_that_is_short_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n", "utf-8")
    found = checks.memory(file)
    assert (found.state, found.found) == ("note", "1.0 of 8.0 GiB free")
    assert found.mend
    file.write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n", "utf-8")
    assert checks.memory(file).state == "ok"
    assert checks.memory(tmp_path / "none").state == "note"


def test_a_full_disk_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.disk(tmp_path).state in ("ok", "missing")
    monkeypatch.setattr(checks, "LEAST_DISK", 1e9)
    found = checks.disk(tmp_path)
    assert found.state == "missing"
    assert "preceptor runs rm" in found.mend


@pytest.mark.parametrize("said", [["no", "object"], {"error": "x"}, "text"])
def test_what_is_no_ollama_is_noted(
    said: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(said) as url:
        for host, mend in ((url, "ollama serve"), ("http://me:pw@[broken", "http://HOST:PORT")):
            monkeypatch.setenv("OLLAMA_HOST", host)
            main(["doctor", "--json"])
            shown = capsys.readouterr().out
            found = {one["what"]: one for one in json.loads(shown)}["ollama"]
            assert found["state"] == "note"
            assert mend in found["mend"]
            assert "pw" not in shown


def test_the_configured_student_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    (tmp_path / "preceptor.toml").write_text('student = "ollama:qwen"\n', "utf-8")
    assert main(["doctor", "--json"]) == 5
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["ollama:qwen"]["mend"] == "start it: ollama serve"


def test_a_folder_of_runs_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert main(["doctor", "--json", "--runs-dir", str(tmp_path / "runs")]) == 2
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert "--runs-dir" in found["runs folder"]["mend"]


def test_a_gpu_that_torch_cannot_use_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checks.gpu().state == "ok"
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X, 80 GiB'\n", "utf-8")
    tool.chmod(0o755)
    monkeypatch.setattr(checks, "version", lambda _: "2.13.0+cpu")
    found = checks.gpu()
    assert found.state == "note"
    assert "NVIDIA X" in found.found
    assert "pip install" in found.mend
    monkeypatch.setattr(checks, "version", lambda _: "2.13.0+cu130")
    assert checks.gpu().state == "ok"


def test_keys_are_named_and_never_shown() -> None:
    found = checks.keys({"OPENAI_API_KEY": "sk-planted", "HF_TOKEN": ""})
    assert found.found == "set: OPENAI_API_KEY"


def test_a_teacher_without_key_or_price() -> None:
    key, price = checks.teacher(Settings(teacher="openai:mystery"), {})
    assert key.state == "missing"
    assert "export OPENAI_API_KEY" in key.mend
    assert (price.state, price.found) == ("note", "unknown")
    assert "prices" in price.mend
    key, price = checks.teacher(Settings(teacher="openai:gpt-4o"), {"OPENAI_API_KEY": "x"})
    assert (key.state, price.state) == ("ok", "ok")
    assert "$2.5" in price.found
    assert [c.state for c in checks.teacher(Settings(), {})] == ["ok", "ok"]


@pytest.mark.parametrize("name", ["Big:7B", "library/big:7b", "registry.ollama.ai/library/big:7b"])
def test_a_teacher_of_ollama_s_in_any_spelling(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with OllamaServer(models={"big:7b": 8192}) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        found = next(iter(checks.teacher(Settings(teacher=f"ollama:{name}"), {})))
        gone = next(iter(checks.teacher(Settings(teacher="ollama:Big"), {})))
    assert "answered without one, context 8192 tokens" in found.found
    assert (gone.state, gone.mend) == ("missing", "the server has big:7b; to get another: ollama pull")


def test_qdrant_only_where_it_is_configured() -> None:
    assert list(checks.qdrant(Settings())) == []
    [down] = checks.qdrant(Settings(qdrant_url="http://me:pw@127.0.0.1:9"))
    assert down.state == "missing"
    assert "docker run" in down.mend
    assert "pw" not in down.found
    with serving({"title": "qdrant - vector search engine", "version": "1.20.0"}) as url:
        [up] = checks.qdrant(Settings(qdrant_url=url))
    assert up.state == "ok"
    assert "1.20.0" in up.found
    with serving(["not", "qdrant"]) as url:
        [other] = checks.qdrant(Settings(qdrant_url=url))
    assert other.state == "missing"


def test_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.template(f"hf:{tmp_path}").state == "note"
    (tmp_path / "tokenizer_config.json").write_text("{torn", "utf-8")
    assert "damaged" in checks.template(f"hf:{tmp_path}").found
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "x"}', "utf-8")
    assert checks.template(f"hf:{tmp_path}").state == "ok"
    with serving({"template": "{{ .Prompt }}"}) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        assert checks.template("ollama:base").state == "note"
    with serving({"template": "{{ .System }}{{ .Prompt }}"}) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        assert checks.template("ollama:chat").state == "ok"


def test_the_doctor_tells_all_of_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["doctor", "--student", "scripted", "--set", "qdrant_url=http://127.0.0.1:9", "--json"])
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert {"memory", "gpu", "keys", "teacher", "teacher's price", "qdrant", "template"} <= set(found)
    assert "context" in found["scripted"]["found"]
    assert all(one["mend"] for one in found.values() if one["state"] == "missing")
