"""What leaves the machine, and what is logged: whole runs against servers that only look remote."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.agents import chat
from preceptor.agents.servers.openai import Item, OpenAIServer, completion, tool_call
from preceptor.agents.servers.scripted import Body, Response, Trouble
from preceptor.cli import main
from preceptor.core import egress, quiet
from preceptor.core.errors import InputError, PreceptorError
from preceptor.core.settings import Settings
from preceptor.graphs import refine, wiring
from preceptor.graphs.session import Limits
from preceptor.graphs.state import RunState
from preceptor.graphs.unquoted import GAP, Unquoted
from tests.graphs.private import DOCTOR, SECRETS
from tests.hostile.notes import CANARY

ROOT = Path(__file__).parents[2]
OPTIONS = wiring.Options(
    task="tests.graphs.private:task", student="simulated", limits=Limits(rounds=2, plateau=2)
)
FINISH = completion(calls=[tool_call("finish", {"reason": "enough"})])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "PAUSES", (0.0,))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


def far(server: OpenAIServer) -> str:
    """Return the server's address in a form that is not known to be this machine."""
    return server.base_url.replace("127.0.0.1", "127.1")


def ran(root: Path, policy: egress.Policy, **options: object) -> RunState:
    settings = Settings(egress=policy)
    with wiring.create(OPTIONS.model_copy(update=options), root, "run", settings) as session:
        return refine.run(session)


def departures(root: Path) -> list[egress.Departure]:
    return list(egress.read(root / "run/egress.jsonl"))


def test_under_local_only_nothing_is_sent_and_no_run_is_made(tmp_path: Path) -> None:
    with OpenAIServer([FINISH]) as server:
        for who in ("teacher", "student"):
            with pytest.raises(
                InputError, match=r"nothing is sent to '127.1': the policy is local-only"
            ):
                ran(tmp_path, "local-only", **{who: f"openai:far@{far(server)}"})
        assert server.requests == []
    assert not (tmp_path / "run").exists()


def quoting(body: Body) -> Body:
    """Answer with a phrase that quotes the doctor's pseudonym, as a teacher would."""
    found = re.search(r"Dr\. (\w+) heard", json.dumps(body, ensure_ascii=False))
    assert found
    patch: Body = {"kind": "add_look_for", "field": "cough", "phrases": [f"{found[1]} heard hacking"]}
    return completion(calls=[tool_call("edit_prompt", {"patches": [patch]})])


def test_a_remote_teacher_gets_pseudonyms_and_tools_get_what_they_stand_for(tmp_path: Path) -> None:
    look = completion(calls=[tool_call("examples", {"field": "cough", "kind": "missed"}, "c1")])
    with OpenAIServer([look, quoting, FINISH]) as server:
        state = ran(tmp_path, "redacted", teacher=f"openai:far@{far(server)}")
        sent = json.dumps(server.asked, ensure_ascii=False)
    assert state["stop"] == "finished"
    assert "heard hacking" in sent
    assert [s for s in SECRETS if s in sent] == []
    trace = (tmp_path / "run/trace.jsonl").read_text()
    assert f"{DOCTOR} heard hacking" in trace
    lines = departures(tmp_path)
    assert len(lines) == len(server.asked) == 3
    assert {(d.host, d.what, d.policy, d.allowed) for d in lines} == {
        ("127.1", "teacher", "redacted", True)
    }
    kept = tmp_path / "run/pseudonyms.jsonl"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert DOCTOR in kept.read_text()


def test_under_open_a_remote_teacher_gets_the_notes_and_the_log_says_so(tmp_path: Path) -> None:
    with OpenAIServer([FINISH]) as server:
        ran(tmp_path, "open", teacher=f"openai:far@{far(server)}")
        sent = json.dumps(server.asked)
    assert DOCTOR in sent
    (line,) = departures(tmp_path)
    assert (line.policy, line.allowed) == ("open", True)
    assert line.chars > 3000
    assert not (tmp_path / "run/pseudonyms.jsonl").exists()


def test_a_remote_student_gets_pseudonyms_too(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        ran(tmp_path, "redacted", student=f"openai:far@{far(server)}", limits=Limits(rounds=1))
        sent = json.dumps(server.asked, ensure_ascii=False)
    assert len(server.asked) > 20
    assert [s for s in SECRETS if s in sent] == []
    assert len(departures(tmp_path)) == len(server.asked)
    assert {d.what for d in departures(tmp_path)} == {"student"}


def test_a_teacher_on_this_machine_gets_everything_and_nothing_is_logged(tmp_path: Path) -> None:
    with OpenAIServer([FINISH]) as server:
        ran(tmp_path, "local-only", teacher=f"openai:near@{server.base_url}")
        assert DOCTOR in json.dumps(server.asked)
    assert departures(tmp_path) == []


def test_trace_shows_what_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIServer([FINISH]) as server:
        ran(tmp_path, "redacted", teacher=f"openai:far@{far(server)}")
    run = str(tmp_path / "run")
    assert main(["trace", run, "--egress"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"sent +127\.1 +teacher +redacted +[\d,]+ characters", text)
    assert "1 texts" in text
    assert main(["trace", run, "--egress", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["what"] == "teacher"


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0,
    reason="no network namespace may be made here",
)
def test_a_run_needs_no_network(tmp_path: Path) -> None:
    command = [
        "unshare", "-n", sys.executable, "-m", "preceptor", "refine", "tests.graphs.private:task",
        "--student", "simulated", "--teacher", "rules", "--rounds", "2", "--runs-dir", str(tmp_path),
    ]  # fmt: skip
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "Bundle:" in done.stdout


def test_a_run_knocks_at_no_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knocked: list[object] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def watched(self: socket.socket, address: tuple[str, int]) -> None:
        if self.family != socket.AF_UNIX and not egress.is_local(str(address[0])):
            knocked.append(address)
        connect(self, address)

    def asked(host: str, *args: object, **more: object) -> object:
        if not egress.is_local(str(host)):
            knocked.append(host)
        return resolve(host, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", watched)
    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_made_up")
    ran(tmp_path, "redacted", teacher="rules")
    assert knocked == []


def test_tracing_that_the_environment_switches_on_is_switched_off() -> None:
    program = (
        "import os, sys, time\n"
        "from preceptor.core.quiet import hush\n"
        "sys.argv[1] in ('local-only', 'open') and hush(sys.argv[1], os.environ)\n"
        "from langchain_core.runnables import RunnableLambda\n"
        "RunnableLambda(lambda x: x).invoke('a note')\n"
        "time.sleep(3); os._exit(0)\n"  # Its sender lives in a thread.
    )
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    heard = {}
    with OpenAIServer() as listener:
        for policy in ("local-only", "open", "nobody asked"):
            clean = {k: v for k, v in os.environ.items() if k not in quiet.OFF}
            env = {**clean, "PYTHONPATH": path, "LANGSMITH_TRACING": "true",
                   "LANGCHAIN_TRACING_V2": "true",
                   "LANGSMITH_API_KEY": "lsv2_made_up", "LANGSMITH_ENDPOINT": listener.url}  # fmt: skip
            subprocess.run(
                [sys.executable, "-c", program, policy],
                env=env, cwd=ROOT, check=True, capture_output=True,
            )  # fmt: skip
            heard[policy] = len(listener.requests)
    assert heard["local-only"] == heard["open"] == 0
    # The listener would have heard it: the same without the switch does trace.
    assert heard["nobody asked"] > 0


def copying(body: Body) -> Body:
    """Copy a note into a rule, a phrase and the reason, as a careless teacher does."""
    rule: Body = {"kind": "add_rule", "field": "fever", "text": f"If {CANARY} then yes"}
    return completion(CANARY, calls=[tool_call("edit_prompt", {"patches": [rule], "reason": CANARY})])


LEAKS: dict[str, list[Item]] = {
    "prose": [completion(f"The note says {CANARY}.")],
    "broken JSON": [completion(calls=[tool_call("edit_prompt", f'{{"patches": "{CANARY}')])],
    "a copied rule": [copying],
    "wrong types": [completion(calls=[tool_call("edit_prompt", {"patches": [{"kind": CANARY}]})])],
    "an argument that does not exist": [completion(calls=[tool_call("count_notes", {CANARY: CANARY})])],
    "an unknown tool": [completion(calls=[tool_call(CANARY.replace(" ", "_"), {})])],
    "an unknown field": [
        completion(calls=[tool_call("examples", {"field": CANARY, "kind": "missed"})])
    ],
    "cut off": [completion(CANARY * 500, finish="length")],
    "a reason": [completion(calls=[tool_call("finish", {"reason": f"because {CANARY}"})])],
}
WORDS = tuple(CANARY.split()[i] for i in (0, 3, 5))


def spilt(*texts: str) -> list[str]:
    """Return what of the canary stands in a text: three of its words are one too many."""
    return [t for t in texts if all(word in t for word in WORDS)]


@pytest.mark.parametrize("case", LEAKS)
def test_no_log_and_no_message_quotes_a_note(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OpenAIServer(LEAKS[case] * 4) as server:
        code = main(
            ["refine", "tests.graphs.private:task", "--student", "simulated", "--rounds", "1",
             "--runs-dir", str(tmp_path), "--name", "run", "--teacher", f"openai:far@{far(server)}"]
        )  # fmt: skip
    assert code in (0, 4)
    assert CANARY in json.dumps(server.asked)  # It was there to be spilt.
    out = capsys.readouterr()
    run = tmp_path / "run"
    assert main(["trace", str(run)]) == 0
    texts = [out.out, out.err, capsys.readouterr().out]
    texts += [(run / name).read_text() for name in ("trace.jsonl", "egress.jsonl", "report.txt")]
    assert spilt(*texts) == []


def echo(status: int) -> Trouble:
    """Return an error whose words quote the prompt, as real servers' do."""
    return Trouble(Response.of({"error": {"message": f"cannot read: {CANARY}", "code": None}}, status))


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_errors_of_servers_are_not_repeated(
    status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OpenAIServer(troubles=[echo(status)] * 999) as server:
        for who in ("teacher", "student"):
            given = {"teacher": "rules", "student": "simulated", who: f"openai:x@{server.base_url}"}
            flags = [part for name, spec in given.items() for part in (f"--{name}", spec)]
            main(["refine", "tests.graphs.private:task", "--runs-dir", str(tmp_path), "--name", who,
                  "--rounds", "1",
                  *flags])  # fmt: skip
    said = capsys.readouterr()
    traces = [p.read_text() for p in tmp_path.glob("*/trace.jsonl")]
    assert spilt(said.out, said.err, *traces) == []


def test_a_student_that_is_down_says_nothing_of_the_notes(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        url = server.base_url
    with pytest.raises(PreceptorError) as caught:
        ran(tmp_path, "redacted", student=f"openai:x@{url}")
    assert spilt(str(caught.value)) == []
    assert caught.value.exit_code == 5


def test_unquoted_keeps_ordinary_words() -> None:
    plain = Unquoted([f"Denies pain in the left arm today. {CANARY}"])
    assert plain.text("Look for pain in the left arm.") == "Look for pain in the left arm."
    assert plain.text(f"Why {CANARY.upper()}, then?") == f"Why {GAP}, then?"
    assert plain.value({"a": [CANARY, 3, None]}) == {"a": [GAP, 3, None]}
