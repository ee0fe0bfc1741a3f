"""Servers that are none, as a user meets them: one line, the exit code, what was finished is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.servers.scripted import Response, Trouble
from preceptor.agents.students import StudentOptions, retry
from preceptor.cli import main
from preceptor.core.records import ModelRef
from preceptor.graphs import bundle
from tests.graphs.corpora import make_bundle, read, rows, write_notes
from tests.hostile.tls import openssl, self_signed

Captured = pytest.CaptureFixture[str]
PAGE = Trouble(Response(b"<html><body>Please log in</body></html>", type="text/html"))
TRIES = 1 + StudentOptions().retries
REFINE = ("refine", "tests.graphs.small:task", "--rounds", "1")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(retry, "LONGEST_WAIT", 0.0)
    return tmp_path


def one_line(capsys: Captured) -> str:
    """Return the last line of stderr, which is the error."""
    said = capsys.readouterr().err.strip().splitlines()
    assert sum(line.startswith("preceptor: ") for line in said) == 1
    return said[-1]


def far(server: OpenAIServer) -> str:
    """Return a server's address in a form that is not known to be this machine, with a password."""
    return server.base_url.replace("127.0.0.1", "me:pw-planted@0.0.0.0")


@openssl
@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_a_student_whose_certificate_nobody_trusts(
    kind: str, elsewhere: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with self_signed(elsewhere) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        spec = "ollama:x" if kind == "ollama" else f"openai:x@{url}/v1"
        assert main([*REFINE, "--student", spec, "--set", "egress=open"]) == 5
        said = one_line(capsys)
        assert "its certificate is not trusted (set SSL_CERT_FILE" in said
        assert main(["doctor", "--student", spec, "--json"]) == 5
        found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
        assert "SSL_CERT_FILE" in found[spec]["mend"]


def test_a_student_s_server_that_answers_with_a_web_page(capsys: Captured) -> None:
    with OpenAIServer(troubles=[PAGE] * 999) as server:
        spec = f"openai:x@{server.base_url}"
        assert main([*REFINE, "--student", spec]) == 5
        assert "the server answered with something that is no completion" in one_line(capsys)
        assert main(["doctor", "--student", spec, "--json"]) == 5
        found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
        assert "no completion" in found[spec]["found"]
        assert "URL" in found[spec]["mend"]


def test_a_teacher_s_server_that_answers_with_a_web_page(capsys: Captured) -> None:
    with OpenAIServer(troubles=[PAGE] * 999) as server:
        spec = f"openai:x@{server.base_url}"
        assert main([*REFINE, "--student", "simulated", "--teacher", spec]) == 4
        assert "does the URL end in /v1?" in capsys.readouterr().err
    assert list(Path("runs").glob("*/bundle/bundle.json")), "the best bundle is kept"


def test_an_extract_goes_on_when_the_web_page_is_gone(elsewhere: Path, capsys: Captured) -> None:
    """The server's first 70 answers are good, then a log-in page comes in between."""
    notes = write_notes(elsewhere / "n.jsonl", rows(150))
    with OpenAIServer(troubles=[*[None] * 70, *[PAGE] * 8 * TRIES]) as server:
        made = make_bundle(elsewhere / "b")
        found = bundle.read(made)
        recipe = found.recipe.model_copy(update={"model": ModelRef(spec=f"openai:x@{server.base_url}")})
        (made / "bundle.json").write_text(
            found.model_copy(update={"recipe": recipe}).to_json(), "utf-8"
        )
        asked = ["extract", str(made), "--in", str(notes), "--set", "concurrency=1", "--out"]
        assert main([*asked, "a.csv"]) == 5
        assert "no completion" in one_line(capsys)
        assert [r.id for r in read(Path("a.csv"))] == [f"n{i}" for i in range(64)]
        assert main([*asked, "a.csv"]) == 0
        assert main([*asked, "b.csv"]) == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_an_error_of_the_server_with_its_key_in_it_shows_no_key(
    elsewhere: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted keys stand in no file of a run, and on no stream, though the server repeats them."""
    keys = {
        "OPENAI_API_KEY": "sk-planted-openai",
        "OLLAMA_API_KEY": "planted-ollama",
        "PRECEPTOR_MY_TOKEN": "planted-own",
        "HF_TOKEN": "hf_planted",
    }
    for name, value in keys.items():
        monkeypatch.setenv(name, value)

    words = json.dumps({"error": {"message": " ".join(keys.values()), "code": None}}).encode()
    refusal = Trouble(Response(words, 401))
    with OpenAIServer() as good, OpenAIServer(troubles=[refusal] * 999) as bad:
        spec = "openai:x"
        student = [*REFINE, "--student", spec]
        monkeypatch.setenv("OPENAI_BASE_URL", far(good))
        assert main([*student, "--name", "a"]) == 0
        monkeypatch.setenv("OPENAI_BASE_URL", far(bad))
        carrying = f"openai:x@{far(bad)}"
        for code, asked in (
            (5, [*student, "--name", "b"]),
            (4, [*REFINE, "--name", "c", "--student", "simulated", "--teacher", spec]),
            (5, ["resume", "b"]),
            (5, ["doctor", "--student", spec, "--set", f"teacher={spec}"]),
            (5, ["eval", spec, "--task", "tests.graphs.small:task", "--split", "dev"]),
            (0, ["config", "--set", f"teacher={carrying}"]),
            (0, ["trace", "a"]),
            (0, ["trace", "a", "--egress"]),
            (0, ["runs", "--json"]),
            (2, [*REFINE, "--student", carrying]),
            (2, [*REFINE, "--student", "simulated", "--teacher", carrying]),
            (2, ["plan", "tests.graphs.small:task", "--teacher", carrying]),
            (5, ["doctor", "--student", carrying]),
            (2, ["eval", carrying, "--task", "tests.graphs.small:task", "--split", "dev"]),
        ):
            assert main(asked) == code, asked
        sent = {str(r.headers.get("authorization")) for r in good.requests}
    said = capsys.readouterr()
    assert any("planted" in one or one.startswith("Basic ") for one in sent), "a secret is sent"
    assert "OPENAI_BASE_URL or OLLAMA_HOST may hold the whole URL" in said.err
    found = {"stdout": said.out.encode(), "stderr": said.err.encode()}
    found |= {str(p): p.read_bytes() for p in elsewhere.rglob("*") if p.is_file()}
    assert len(found) > 10
    guilty = {
        name: value
        for name, text in found.items()
        for value in (*keys.values(), "pw-planted")
        if value.encode() in text
    }
    assert guilty == {}
