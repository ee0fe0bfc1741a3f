"""What is sent where it may be: indexes, traces, keys, and what a bundle asks for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from preceptor.agents import students, teacher
from preceptor.agents.publish import Publisher
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.students import StudentOptions
from preceptor.cli import main
from preceptor.core import egress, keys, served
from preceptor.core.address import parse
from preceptor.core.egress import Egress, Policy
from preceptor.core.errors import InputError, StudentError
from preceptor.core.records import IndexRef, ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.graphs import bundle, retrieval, tracing, wiring
from preceptor.tools.rag import artefact
from preceptor.tools.rag.embed import embedder_for
from preceptor.tools.rag.retriever import QdrantRetriever
from preceptor.tools.rag.server import ServerStore
from preceptor.tools.rag.tokens import frequencies, token_id
from preceptor.tools.rag.veil import Veil
from tests.contracts.evidence import FIELDS
from tests.graphs import small
from tests.graphs.corpora import make_bundle, rows, write_notes
from tests.hostile.listener import PROXIES, Listener
from tests.hostile.test_leaving import CALL, SERVERS
from tests.tools.rag.built import NOTES, built
from tests.tools.rag.fake import FakeQdrant

ROOT = Path(__file__).parents[2]
INDEX = built()
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*SERVERS, "QDRANT_API_KEY", "MY_KEY", *PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def qdrant() -> Iterator[FakeQdrant]:
    with FakeQdrant() as server:
        yield server


def far(url: str) -> str:
    """Return a server's address in a form that is not known to be this machine."""
    return url.replace("127.0.0.1", "127.1")


# --- an index at a Qdrant server ------------------------------------------------------------------


def finder(url: str, policy: Policy | None) -> retrieval.Retrievers:
    gate = Egress(policy, Path("egress.jsonl"), lambda text: text) if policy else None
    return retrieval.Retrievers(lambda _: INDEX.data, url=url, gate=gate)


RECIPE = Recipe(
    model=ModelRef(spec="scripted"),
    index=IndexRef(digest=INDEX.digest, k=2, settings={"mode": "sparse"}),
)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ("local-only", "the policy is local-only"),
        ("redacted", "an index cannot be redacted"),
        (None, "the policy is local-only"),
    ],
)
def test_an_index_goes_to_no_other_machine(policy: Policy | None, why: str, qdrant: FakeQdrant) -> None:
    with pytest.raises(InputError, match=f"nothing is sent to '127.1': .*{why}"):
        finder(far(qdrant.url), policy).of(RECIPE)
    assert qdrant.requests == []


def test_under_open_an_index_goes_there_and_every_request_of_text_is_logged(qdrant: FakeQdrant) -> None:
    found = finder(far(qdrant.url), "open").of(RECIPE)
    assert found is not None
    assert found.hits(NOTES[:3], FIELDS)
    lines = list(egress.read(Path("egress.jsonl")))
    asked = [r for r in qdrant.requests if r.path.endswith("/query/batch")]
    assert [line.what for line in lines] == ["index"] * (1 + len(asked))
    assert lines[0].digest == INDEX.digest
    assert all(line.allowed and line.chars and line.host == "127.1" for line in lines)


def test_a_run_and_a_bundle_refuse_such_a_server_before_anything_is_made(qdrant: FakeQdrant) -> None:
    settings = Settings(qdrant_url=far(qdrant.url))
    with (
        pytest.raises(InputError, match="an index cannot be redacted"),
        wiring.create(small.OPTIONS, Path("runs"), "run", settings),
    ):
        pass
    assert not Path("runs/run").exists()
    notes = write_notes(Path("n.jsonl"), rows(2))
    asked = ["extract", str(make_bundle(Path("b"))), "--in", str(notes), "--out", "a.jsonl"]
    assert main([*asked, "--set", f"qdrant_url={far(qdrant.url)}"]) == 2
    assert qdrant.requests == []


@pytest.mark.parametrize("url", ["http://me:pw@127.0.0.1:6333", "http://127.0.0.1@evil.example"])
def test_a_password_in_its_address_is_refused_and_not_quoted(url: str, capsys: Captured) -> None:
    with pytest.raises(InputError, match="qdrant_url holds a user name or password") as caught:
        ServerStore(INDEX, url)
    assert "pw" not in caught.value.message
    assert main(["doctor", "--set", f"qdrant_url={url}"]) == 2
    assert "pw@" not in capsys.readouterr().out


def test_a_server_is_told_no_word_no_patient_and_no_label(qdrant: FakeQdrant) -> None:
    made = QdrantRetriever(
        INDEX, IndexRef(digest=INDEX.digest, k=2), None, ServerStore(INDEX, qdrant.url)
    )
    assert any(made.hits(NOTES[:8], FIELDS))
    sent = b"".join(r.path.encode() + r.raw for r in qdrant.requests).decode()
    groups = {p.group for p in INDEX.passages} | {note.group for note in NOTES}
    assert len(groups) > 3
    for text in groups | {p.field for p in INDEX.passages} | {p.key for p in INDEX.passages}:
        assert json.dumps(text) not in sent
    assert INDEX.digest not in sent
    # Whoever has a list of words has their numbers; none of them is there.
    words = {word for p in INDEX.passages for word in frequencies(p.text)}
    stored = {int(i) for r in qdrant.requests for i in _numbers(r.body)}
    assert len(stored) > 20
    assert not stored & {token_id(word) for word in words}


def _numbers(value: object) -> Iterator[int]:
    if isinstance(value, dict):
        if isinstance(value.get("indices"), list):
            yield from value["indices"]
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)


def test_the_hashes_of_two_indexes_have_nothing_in_common() -> None:
    one, other = Veil(INDEX), Veil(built(NOTES[:10]))
    assert one.name("group:p1") == Veil(artefact.read(INDEX.data)).name("group:p1")
    assert one.name("group:p1") != other.name("group:p1")
    numbers = list(range(3000))
    seen = {one._permuted(n) for n in numbers}
    assert len(seen) == len(numbers), "no two words meet"
    assert all(0 <= n < 2**32 for n in seen)


# --- traces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["local-only", "redacted"])
def test_a_trace_cannot_be_redacted(policy: Policy, tmp_path: Path) -> None:
    settings = Settings(egress=policy, tracing="langsmith")
    with pytest.raises(InputError, match="a trace holds whole prompts"):
        tracing.start(settings, Egress(policy, tmp_path / "log"), {})


@pytest.mark.parametrize("asked", ["off", "langsmith"])
def test_traces_are_sent_only_if_the_settings_ask_for_them_and_are_logged(
    asked: str, tmp_path: Path
) -> None:
    program = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from preceptor.core.settings import Settings\n"
        "from preceptor.graphs.answering import gate\n"
        "from tests.graphs import small\n"
        "gate(Settings(egress='open', tracing=sys.argv[1]), Path('egress.jsonl'), small.task())\n"
        "from langchain_core.runnables import RunnableLambda\n"
        "RunnableLambda(lambda x: x).invoke('a note')\n"
        "time.sleep(3); os._exit(0)\n"  # Its sender lives in a thread.
    )
    with OpenAIServer() as listener:
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "LANGSMITH_TRACING": "true",
            "LANGCHAIN_TRACING_V2": "true",
            "LANGSMITH_API_KEY": "lsv2_made_up",
            "LANGSMITH_ENDPOINT": far(listener.url),
        }
        subprocess.run(
            [sys.executable, "-c", program, asked],
            env=env,
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    lines = list(egress.read(tmp_path / "egress.jsonl"))
    sent = [r for r in listener.requests if r.method != "GET"]
    if asked == "off":
        assert listener.requests == []
        assert lines == []
        return
    assert sent
    assert len(lines) == len(sent), "a line per request"
    assert {(line.what, line.host, line.allowed) for line in lines} == {("tracing", "127.1", True)}
    assert sum(line.chars for line in lines) == sum(len(r.raw) for r in sent)


def test_the_log_says_no_more_than_it_knows(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "run.json").write_text("{}")
    assert main(["trace", str(tmp_path), "--egress"]) == 0
    assert capsys.readouterr().out.strip() == "no logged request left this machine"


# --- keys -----------------------------------------------------------------------------------------

ELSEWHERE = "https://llm.example:8000/v1"


def test_openai_s_key_goes_to_openai_and_the_user_s_own_server_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environ = {"OPENAI_API_KEY": "sk-real", "MY_KEY": "mine"}
    assert keys.openai(parse(served.OPENAI), {}, environ) == "sk-real"
    for url in (
        ELSEWHERE,
        "http://api.openai.com/v1",
        "https://api.openai.com:8443",
        "http://127.0.0.1:1",
    ):
        assert keys.openai(parse(url), {}, environ) == ""
    own = {**environ, "OPENAI_BASE_URL": ELSEWHERE}
    assert keys.openai(parse(ELSEWHERE), {}, own) == "sk-real"
    for name in ("llm.example", "llm.example:8000", ELSEWHERE):
        assert keys.openai(parse(ELSEWHERE), {name: "MY_KEY"}, environ) == "mine"
    for name in ("llm.example:8001", "other.example", "http://llm.example:8000"):
        assert keys.openai(parse(ELSEWHERE), {name: "MY_KEY"}, environ) == ""
    with pytest.raises(InputError, match="set OTHER_KEY, as api_key_env says"):
        keys.openai(parse(ELSEWHERE), {"llm.example": "OTHER_KEY"}, environ)


@pytest.mark.parametrize("named", [False, True])
def test_what_each_client_sends_as_its_key(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("OLLAMA_API_KEY", "ollama-real")
    monkeypatch.setenv("QDRANT_API_KEY", "qdrant-real")
    monkeypatch.setenv("MY_KEY", "mine")
    told = {"127.0.0.1": "MY_KEY"} if named else {}
    with OpenAIServer() as openai, OllamaServer(models={"m": 4096}) as ollama:
        options = StudentOptions(timeout=5.0, retries=0, keys=told, base_url=ollama.url)
        for spec in (f"openai:m@{openai.base_url}", "ollama:m"):
            list(students.make(ModelRef(spec=spec), options=options).complete([CALL]))
        embedder_for(f"openai:m@{openai.base_url}", named=told).embed(["x"])
        embedder_for(f"ollama:m@{ollama.url}", named=told).embed(["x"])
        asked = teacher.TeacherOptions(timeout=5.0, keys=told)
        for kind, url in (("openai", openai.base_url), ("ollama", ollama.url)):
            teacher.chat_model(kind, "m", url, asked).invoke("x")
        Publisher(ollama.url, told).names()
        sent = [str(r.headers.get("authorization", "")) for r in openai.requests + ollama.requests]
    assert len(sent) > 8
    expected = {"Bearer mine"} if named else {"Bearer none", "Bearer not-needed", ""}
    assert set(sent) <= expected


def test_ollama_s_key_goes_to_its_makers_and_the_user_s_own_server() -> None:
    environ = {"OLLAMA_API_KEY": "real", "OLLAMA_HOST": "gpu.ward.example"}
    assert keys.ollama(parse("http://gpu.ward.example:11434"), {}, environ) == "real"
    assert keys.ollama(parse("https://ollama.com"), {}, environ) == "real"
    assert keys.ollama(parse("http://evil.example:11434"), {}, environ) == ""


# --- a bundle that names a server -----------------------------------------------------------------


def foreign(folder: Path, spec: str) -> Path:
    made = bundle.read(make_bundle(folder))
    recipe = made.recipe.model_copy(update={"model": ModelRef(spec=spec)})
    (folder / "bundle.json").write_text(made.model_copy(update={"recipe": recipe}).to_json(), "utf-8")
    return folder


def test_a_bundle_that_names_a_server_is_announced_and_refused(capsys: Captured) -> None:
    with OpenAIServer() as server:
        made = foreign(Path("b"), f"openai:m@{far(server.base_url)}")
        notes = write_notes(Path("n.jsonl"), rows(3))
        asked = ["extract", str(made), "--in", str(notes), "--out", "a.jsonl"]
        for more in ([], ["--allow-remote", "other.example"]):
            assert main([*asked, *more]) == 2
            said = capsys.readouterr().err
            assert "Note: this bundle sends notes to 127.1" in said
            assert "if they may go there: --allow-remote 127.1" in said
        assert main(["eval", str(made), "--task", "tests.graphs.small:task"]) == 2
        assert "--allow-remote 127.1" in capsys.readouterr().err
        assert server.requests == []
        assert not Path("a.jsonl").exists()
        assert main([*asked, "--allow-remote", "127.1", "--set", "egress=local-only"]) == 2
        assert server.requests == []
        assert main([*asked, "--allow-remote", "127.1"]) == 0
        assert len(server.asked) == 3
    assert list(egress.read(Path("a.jsonl.egress.jsonl")))


@pytest.mark.parametrize("spec", ["openai:gpt-4o", "ollama:m-cloud", f"openai:m@{ELSEWHERE}"])
def test_every_server_that_a_bundle_names_counts(spec: str, capsys: Captured) -> None:
    notes = write_notes(Path("n.jsonl"), rows(1))
    made = foreign(Path("b"), spec)
    assert main(["extract", str(made), "--in", str(notes), "--out", "a.jsonl"]) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_a_server_of_the_user_s_own_needs_no_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = write_notes(Path("n.jsonl"), rows(1))
    with OpenAIServer() as openai, OllamaServer(models={"m": 4096}) as ollama:
        monkeypatch.setenv("OPENAI_BASE_URL", far(openai.base_url))
        monkeypatch.setenv("OLLAMA_HOST", far(ollama.url))
        for number, spec in enumerate(("openai:m", "ollama:m")):
            made = foreign(Path(f"b{number}"), spec)
            asked = ["extract", str(made), "--in", str(notes), "--out", f"{number}.jsonl"]
            assert main([*asked, "--set", "egress=open"]) == 0


def test_an_index_that_names_an_embedder_s_server_counts(capsys: Captured) -> None:
    with Listener() as target:
        named = INDEX.config.model_copy(
            update={"embedder": f"openai:e@{far(target.url.replace('localhost', '127.0.0.1'))}/v1"}
        )
        data = artefact.write(artefact.Index(named, INDEX.passages, INDEX.vectors))
        folder = make_bundle(Path("b"))
        made = bundle.read(folder)
        name = artefact.read(data).digest
        ref = IndexRef(digest=name, k=1, settings={"mode": "dense"})
        recipe = made.recipe.model_copy(update={"index": ref})
        (folder / "bundle.json").write_text(made.model_copy(update={"recipe": recipe}).to_json())
        (folder / "index").mkdir()
        (folder / "index" / f"{name}.jsonl").write_bytes(data)
        notes = write_notes(Path("n.jsonl"), rows(1))
        asked = ["extract", str(folder), "--in", str(notes), "--out", "a.jsonl"]
        assert main(asked) == 2
        assert "its embedder is" in capsys.readouterr().err
        assert target.received == b""
        assert main([*asked, "--set", "egress=local-only", "--allow-remote", "127.1"]) == 2
        assert target.received == b""


def test_a_server_that_asks_for_a_key_says_how_to_name_one() -> None:
    from preceptor.agents.servers.scripted import Trouble

    with OpenAIServer(troubles=[Trouble.status(401)] * 9) as server:
        made = students.make(
            ModelRef(spec=f"openai:m@{server.base_url}"), options=StudentOptions(retries=0)
        )
        with pytest.raises(StudentError, match=r"status 401.*api_key_env"):
            list(made.complete([CALL]))
