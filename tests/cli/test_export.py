"""``export`` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from preceptor.agents.servers.hosting import Library
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.cli import main
from tests.graphs import hosted


def test_exported_and_served_in_one_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, out = hosted.make_bundle(tmp_path / "bundle"), tmp_path / "out"
    with OllamaServer(library=Library(host=hosted.host), models={}) as server:
        where = ["--to", "ollama", "--host", server.url, "--name", "letters:1"]
        assert main(["export", str(made), "--out", str(out), *where, "--json"]) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out)["name"] == "letters:1"
        assert "raw: 44/44 prompts with equal token counts, 44/44 fields equal" in shown.err
        assert list(server.library.created) == ["letters:1"]
        assert main(["export", str(out), *where]) == 2
        assert "has a model 'letters:1' already" in capsys.readouterr().err
        assert list(server.library.created) == ["letters:1"], "what was there stays"
    assert main(["export", str(made)]) == 2
    assert "--out FOLDER" in capsys.readouterr().err
    assert main(["export", str(made), "--out", str(out)]) == 2
    assert "is not empty" in capsys.readouterr().err
