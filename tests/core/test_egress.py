import json
from pathlib import Path

import pytest

from preceptor.core.egress import Egress, Policy, is_local
from preceptor.core.errors import InputError
from preceptor.core.record import digest

REMOTE = "https://api.openai.com/v1"
HERE = "http://localhost:11434"


@pytest.mark.parametrize(
    "url",
    [
        HERE,
        "HTTP://LOCALHOST/",
        "localhost:11434",
        "127.0.0.1",
        "http://127.8.9.1:80/x",
        "http://[::1]:8000",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0:80",
        "[::]:11434",
    ],
)
def test_a_loopback_address_is_this_machine(url: str) -> None:
    assert is_local(url)


@pytest.mark.parametrize(
    "url",
    [
        REMOTE,
        "",
        "http://",
        "http:///x",
        "http://127.0.0.1@evil.example/",
        "http://localhost:80@evil.example/",
        "http://evil.example/127.0.0.1",
        "http://evil.example#@127.0.0.1",
        "http://evil.example\\@127.0.0.1/",
        "http://localhost.evil.example",
        "http://notlocalhost",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.5",
        "http://ollama.localhost/",
        "http://user:secret@127.0.0.1/",
        "http://0.0.0.0@evil.example/",
        "http://0.0.0.0.evil.example/",
        "http://evil.example/@127.0.0.1",
        "http://[::1%25lo]/",
        "http://2130706433/",
        "http://[::ffff:10.0.0.1]/",
        "http://[bad/",
        "http://evil.example\n.localhost/",
        "ollama.internal",
    ],
)
def test_anything_else_is_not(url: str) -> None:
    assert not is_local(url)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("policy", ["local-only", "redacted"])
def test_nothing_leaves_and_the_attempt_is_logged(tmp_path: Path, policy: Policy) -> None:
    log = tmp_path / "egress.jsonl"
    gate = Egress(policy, log)
    with pytest.raises(InputError, match=f"'api.openai.com': the policy is {policy}"):
        gate.check(REMOTE + "/sk-123", 12, "d")
    with pytest.raises(InputError):
        gate.admit(REMOTE, "Mrs Jones denies pain")
    first, second = lines(log)
    assert (first["allowed"], first["chars"], first["digest"]) == (False, 12, "d")
    assert (second["host"], second["policy"]) == ("api.openai.com", policy)
    assert "sk-123" not in log.read_text()
    assert "Jones" not in log.read_text()


@pytest.mark.parametrize("policy", ["local-only", "redacted", "open"])
def test_this_machine_is_always_allowed_and_not_logged(tmp_path: Path, policy: Policy) -> None:
    gate = Egress(policy, tmp_path / "egress.jsonl", redact=lambda _: "gone")
    gate.check(HERE, 12, "d")
    assert gate.admit(HERE, "Mrs Jones") == "Mrs Jones"
    assert lines(tmp_path / "egress.jsonl") == []


def test_under_open_everything_leaves_and_is_logged(tmp_path: Path) -> None:
    gate = Egress("open", tmp_path / "egress.jsonl")
    assert gate.admit(REMOTE, "Mrs Jones") == "Mrs Jones"
    (line,) = lines(tmp_path / "egress.jsonl")
    assert line["allowed"] is True
    assert (line["chars"], line["digest"]) == (9, digest("Mrs Jones"))


def test_under_redacted_only_what_the_redactor_returns_leaves(tmp_path: Path) -> None:
    gate = Egress("redacted", tmp_path / "egress.jsonl", redact=lambda t: t.replace("Jones", "[X]"))
    assert gate.admit(REMOTE, "Mrs Jones") == "Mrs [X]"
    (line,) = lines(tmp_path / "egress.jsonl")
    assert line["digest"] == digest("Mrs [X]")


def test_what_cannot_be_logged_is_not_sent(tmp_path: Path) -> None:
    gate = Egress("open", tmp_path / "missing" / "egress.jsonl")
    with pytest.raises(InputError, match="cannot open"):
        gate.check(REMOTE, 1, "d")
