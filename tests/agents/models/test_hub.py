"""Models without a wheel come from the hub: safetensors and tokenizer files, or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from preceptor.core import model_home
from tests.agents.models import shelf

ROOT = Path(__file__).parents[3]
NAME, HUB = "smollm2-360m", "HuggingFaceTB/SmolLM2-360M-Instruct"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(files: dict[str, bytes], status: int = 200) -> Iterator[str]:
    """Serve a repository as the hub does."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, whole: bool) -> None:
            path = self.path.partition("?")[0]
            name = path.partition(f"/resolve/{REVISION}/")[2]
            if status != 200 or not (name in files or path.startswith(f"/api/models/{HUB}")):
                self.send_response(status if status != 200 else 404)
                if status == 403:
                    self.send_header("X-Error-Code", "GatedRepo")
                self.end_headers()
                return
            tree = [{"type": "file", "path": f, "size": len(d), "oid": "0"} for f, d in files.items()]
            about = tree if "/tree/" in path else {"id": HUB, "sha": REVISION, "siblings": []}
            body = files[name] if name else json.dumps(about).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.end_headers()
            if whole:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def fetched(url: str, home: Path, name: str = NAME) -> subprocess.CompletedProcess[str]:
    """Run ``models fetch`` in a process of its own: the hub's client reads its address on import."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    given = {"HF_ENDPOINT": url, "HF_HOME": str(home.parent / "hf"), "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-m", "preceptor", "models", "fetch", name, "--set", f"models_dir={home}"],
        capture_output=True,
        text=True,
        env={**kept, **given, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )


def repository(tmp_path: Path) -> dict[str, bytes]:
    folder = shelf.student_folder(tmp_path / "made")
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    return {**files, "pytorch_model.bin": b"\x80pickle", "modeling.py": b"1/0", "README.md": b"# It\n"}


def test_safetensors_and_tokenizer_come_and_code_and_pickles_do_not(tmp_path: Path) -> None:
    home = tmp_path / "models"
    with hub(repository(tmp_path)) as url:
        done = fetched(url, home)
    assert done.returncode == 0, done.stderr
    folder = home / NAME
    names = {p.name for p in folder.rglob("*") if p.is_file()}
    assert {"model.safetensors", "tokenizer.json", "README.md", "CARD.md"} <= names
    assert not {"pytorch_model.bin", "modeling.py"} & names
    slip = model_home.read(folder)
    assert slip is not None
    assert slip.source == f"{HUB} at {REVISION}"
    assert model_home.locate(NAME, home) == folder
    assert fetched("http://127.0.0.1:9", home).returncode == 0  # nothing is asked for again


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        (NAME, 500, "ollama pull smollm2:360m"),
        ("llama3.2-1b", 403, "accept them at https://huggingface"),
    ],
)
def test_a_hub_that_refuses_is_one_line_and_leaves_nothing(
    name: str, status: int, said: str, tmp_path: Path
) -> None:
    home = tmp_path / "models"
    with hub({}, status) as url:
        done = fetched(url, home, name)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(home.iterdir()) == []


def test_a_repository_without_safetensors_is_refused(tmp_path: Path) -> None:
    files = repository(tmp_path)
    del files["model.safetensors"]
    home = tmp_path / "models"
    with hub(files) as url:
        done = fetched(url, home)
    assert done.returncode == 2
    assert "has no *.safetensors" in done.stderr
    assert list(home.iterdir()) == []
