"""What leaves although nobody said that it may: redirects, proxies, two readings of one address.

Every test has a listener of its own, as the target of a redirect or as a proxy, and what it received of
a note is counted: nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from preceptor.agents import chat, destination, students, teacher
from preceptor.agents.batch.service import Service
from preceptor.agents.batch.watch import Watch
from preceptor.agents.publish import Model, Publisher
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer, completion, tool_call
from preceptor.agents.students import StudentOptions, retry
from preceptor.agents.students.llamacpp import templated
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.agents.students.retry import Backoff
from preceptor.cli import main
from preceptor.core import egress, served, wire
from preceptor.core.address import parse
from preceptor.core.egress import Egress
from preceptor.core.errors import InputError, PreceptorError, StudentError, TeacherError
from preceptor.core.fields import LabelField
from preceptor.core.records import Call, Decoding, Message, ModelRef
from preceptor.tools.rag.embed import embedder_for
from preceptor.tools.rag.retry import Patience
from preceptor.tools.rag.server import ServerStore
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.teacher import FINISH, situation_of
from tests.hostile.listener import PROXIES, Listener, Mover, moved
from tests.hostile.notes import CANARY
from tests.house.test_house import sources
from tests.tools.rag.built import built
from tests.tools.rag.fake import FakeQdrant

ENDS = completion(calls=[tool_call("finish", {"reason": "enough"})])
SERVERS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OLLAMA_HOST", "OLLAMA_API_KEY")
FIELD = LabelField(name="fever", values=("yes", "no"))
CALL = Call("n1", (FIELD,), (Message("user", CANARY),), Decoding(max_tokens=20))
INDEX = built()
ONCE = StudentOptions(timeout=5.0, retries=0, parallel=1)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "PAUSES", (0.0,))
    monkeypatch.setattr(retry, "LONGEST_WAIT", 0.0)
    for name in (*SERVERS, *PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def target() -> Iterator[Listener]:
    with Listener() as made:
        yield made


def ask_student(spec: str) -> str:
    """Have a student asked about a note; return its answer."""
    made = students.make(ModelRef(spec=spec), options=ONCE)
    try:
        (reply,) = made.complete([CALL])
    finally:
        made.close()
    assert reply.status == "ok", reply.error
    return reply.raw


def ask_teacher(spec: str) -> None:
    """Have a teacher asked for a turn, with notes in its brief."""
    evidence = evidence_of(corpus(12), blind)
    made = teacher.make(spec, teacher.TeacherOptions(timeout=5.0, retries=0))
    made.turn(situation_of(evidence), evidence, [], (FINISH,))


def embed(spec: str) -> None:
    embedder_for(spec, patience=Patience(retries=0)).embed([CANARY])


# --- redirects ------------------------------------------------------------------------------------


def test_a_listener_hears_what_a_client_that_follows_sends(target: Listener) -> None:
    """The control: the same redirect, and a client that follows it."""
    with Mover(target) as server:
        httpx.post(f"{server.url}/x", content=CANARY, follow_redirects=True, trust_env=False)
    assert CANARY.encode() in target.received


def over_openai(asked: Callable[[str], object]) -> Callable[[Listener], object]:
    def run(target: Listener) -> object:
        with OpenAIServer(troubles=[moved(target)] * 9) as server:
            return asked(f"openai:m@{server.base_url}")

    return run


def over_ollama(
    asked: Callable[[str], object], environment: bool = False
) -> Callable[[Listener], object]:
    def run(target: Listener) -> object:
        with OllamaServer(models={"m": 4096}, troubles=[moved(target)] * 9) as server:
            if not environment:
                return asked(f"ollama:m@{server.url}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("OLLAMA_HOST", server.url)
                return asked("ollama:m")

    return run


def hand_in(target: Listener) -> object:
    with OpenAIServer() as good, Mover(target) as server:
        student = OpenAIStudent("m", good.url, ONCE)
        client = student.client.with_options(base_url=f"{server.url}/v1")
        service = Service(client, Backoff(0), Watch(lambda: False))
        return service.upload("batch.jsonl", CANARY.encode())


def publish(target: Listener) -> object:
    with Mover(target) as server:
        weights = Path("model.safetensors")
        weights.write_text(CANARY)
        model = Model("m:1", {"model.safetensors": weights}, "{{ .Prompt }}", CANARY)
        Publisher(server.url).create(model, lambda _: None)
    return None


def template(target: Listener) -> object:
    with Mover(target) as server:
        return templated(server.url, [CALL], 5.0)


def index(target: Listener) -> object:
    with Mover(target) as server:
        return ServerStore(INDEX, server.url, Patience(retries=0))


SENDERS: dict[str, Callable[[Listener], object]] = {
    "openai student": over_openai(ask_student),
    "ollama student": over_ollama(ask_student, environment=True),
    "openai teacher": over_openai(ask_teacher),
    "ollama teacher": over_ollama(ask_teacher),
    "openai embedder": over_openai(embed),
    "ollama embedder": over_ollama(embed),
    "batch": hand_in,
    "publisher": publish,
    "llama.cpp's template": template,
    "qdrant": index,
}


@pytest.mark.parametrize("who", SENDERS)
def test_no_client_follows_a_redirect(
    who: str, target: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PreceptorError) as caught:
        SENDERS[who](target)
    assert f"to 'localhost:{target.port}' (status 307); nothing was sent there" in caught.value.message
    assert isinstance(caught.value, TeacherError if "teacher" in who else StudentError)
    assert target.received == b""


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 308])
def test_every_3xx_is_an_error(status: int, target: Listener) -> None:
    with (
        OpenAIServer(troubles=[moved(target, status)] * 9) as server,
        pytest.raises(StudentError, match=rf"status {status}"),
    ):
        ask_student(f"openai:m@{server.base_url}")
    assert target.received == b""


def test_a_whole_run_whose_servers_point_elsewhere_sends_nothing_there(
    target: Listener, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OpenAIServer(troubles=[moved(target)] * 99) as server:
        spec = f"openai:m@{server.base_url}"
        run = ["refine", "tests.graphs.small:task", "--rounds", "1", "--runs-dir", str(tmp_path)]
        assert main([*run, "--name", "a", "--student", spec]) == 5
        assert main([*run, "--name", "b", "--student", "simulated", "--teacher", spec]) == 4
    said = capsys.readouterr().err
    assert said.count(f"to 'localhost:{target.port}' (status 307)") >= 2
    assert target.received == b""


def test_the_clients_of_other_providers_are_sealed() -> None:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    made = ChatOpenAI(model="m", api_key=SecretStr("none"))
    assert made.root_client._client.follow_redirects
    wire.seal(made)
    assert not made.root_client._client.follow_redirects


# --- proxies --------------------------------------------------------------------------------------

HERE = ("127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "[::]")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Every variable that names a proxy names a listener."""
    with Listener() as made:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for spelt in (name, name.lower()):
                monkeypatch.setenv(spelt, f"http://me:secret@127.0.0.1:{made.port}")
        yield made


@pytest.mark.parametrize("host", HERE)
def test_what_is_local_goes_through_no_proxy(
    host: str, proxy: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer() as server, OllamaServer(models={"m": 4096}) as ollama:
        there = server.base_url.replace("127.0.0.1", host)
        assert egress.is_local(there)
        assert ask_student(f"openai:m@{there}")
        embed(f"openai:m@{there}")
        monkeypatch.setenv("OLLAMA_HOST", ollama.url.replace("127.0.0.1", host))
        assert ask_student("ollama:m")
        embed("ollama:m")
        Publisher().names()
        assert CANARY.encode() in b"".join(r.raw for r in server.requests + ollama.requests)
    with OpenAIServer([ENDS]) as server, FakeQdrant() as qdrant:
        ask_teacher(f"openai:m@{server.base_url.replace('127.0.0.1', host)}")
        ServerStore(INDEX, qdrant.url.replace("127.0.0.1", host)).close()
    assert proxy.received == b""


def test_ollama_that_listens_everywhere_is_reached_here(
    proxy: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OllamaServer(models={"m": 4096}) as server:
        monkeypatch.setenv("OLLAMA_HOST", f"0.0.0.0:{server.url.rpartition(':')[2]}")
        assert ask_student("ollama:m")
        assert main(["doctor", "--student", "ollama:m"]) in (0, 2)
    assert proxy.received == b""


def test_all_of_127_is_local_and_names_under_localhost_are_not(proxy: Listener) -> None:
    with pytest.raises(StudentError, match=r"no server answers at http://127\.8\.9\.1:9/"):
        ask_student("openai:m@http://127.8.9.1:9/v1")
    assert proxy.received == b""
    assert not egress.is_local("http://ollama.localhost:11434")


def test_what_is_remote_goes_through_the_proxy_and_the_log_says_so(
    proxy: Listener, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "egress.jsonl"
    gate = Egress("open", log)
    url = "http://llm.ward.example:8000/v1"
    with pytest.raises(StudentError):
        embedder_for(f"openai:m@{url}", gate.admit, Patience(retries=0)).embed([CANARY])
    assert b"llm.ward.example:8000" in proxy.received
    (line,) = egress.read(log)
    assert (line.host, line.proxy) == ("llm.ward.example", f"127.0.0.1:{proxy.port}")
    assert "secret" not in log.read_text()
    (tmp_path / "run.json").write_text("{}")
    main(["trace", str(tmp_path), "--egress"])
    assert f"by proxy 127.0.0.1:{proxy.port}" in capsys.readouterr().out
    monkeypatch.setenv("NO_PROXY", "ward.example")
    monkeypatch.setenv("no_proxy", "ward.example")
    assert wire.proxy(parse(url)) == ""


# --- one parse ------------------------------------------------------------------------------------

AMBIGUOUS = (
    "http://127.0.0.1@evil.example/v1",
    "http://0.0.0.0@evil.example/v1",
    "http://me:pw@127.0.0.1/v1",
    "http://127.0.0.1/v1@evil.example",
    "http://127.0.0.1@evil.example@127.0.0.1/v1",
    "http://evil.example\\@127.0.0.1/v1",
    "http://evil.example#@127.0.0.1/v1",
    "http://127.0.0.1\n.evil.example/v1",
    "http://127.0.0.1/v1?to=http://evil.example",
    "ftp://127.0.0.1/",
    "http://[::1%25lo]/v1",
    "http://",
)


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_an_address_with_two_readings_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not egress.is_local(url)
    for spec in (f"openai:m@{url}", f"ollama:m@{url}"):
        for asked in (ask_student, ask_teacher, embed, destination.of):
            with pytest.raises(InputError) as caught:
                asked(spec)
            assert "\n" not in str(caught.value) or "\n" in url
    with pytest.raises(InputError):
        Egress("open", tmp_path / "log").check(url, 1, "d")
    if "\n" not in url:
        for name, spec in (("OLLAMA_HOST", "ollama:m"), ("OPENAI_BASE_URL", "openai:m")):
            monkeypatch.setenv(name, url)
            for asked in (ask_student, ask_teacher, destination.of):
                with pytest.raises(InputError, match=name):
                    asked(spec)
    for made in (Publisher, lambda there: ServerStore(INDEX, there)):
        with pytest.raises(InputError):
            made(url)


@pytest.mark.parametrize(
    "spec",
    [
        "openai:m@http://0.0.0.0.evil.example/v1",
        "openai:m@http://127.0.0.1.evil.example/v1",
        "openai:m@evil.example:8000",
        "ollama:m@http://evil.example",
    ],
)
def test_a_host_that_only_begins_like_ours_is_remote(spec: str, tmp_path: Path) -> None:
    assert destination.is_remote(spec)
    gate = Egress("local-only", tmp_path / "log")
    with pytest.raises(InputError, match=r"evil\.example.*local-only"):
        gate.refuse(destination.of(spec))


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8000/v1", "0.0.0.0:1", "https://API.Example/v1/", "[::1]:80", "a.b"]
)
def test_what_was_read_is_read_the_same_again_by_all(text: str) -> None:
    found = parse(text)
    assert parse(found.url) == found
    read = httpx.URL(found.url)
    assert (read.scheme, read.host) == (found.scheme, found.host)
    assert read.port in (found.port, None)


def test_a_model_with_a_url_is_asked_there_and_not_at_ollama_host(
    target: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", target.url)
    with OllamaServer(models={"m": 4096}) as server:
        spec = f"ollama:m@{server.url}"
        assert destination.of(spec) == server.url
        ask_teacher(spec)
        embed(spec)
        with pytest.raises(InputError, match="a student of Ollama's takes no URL"):
            ask_student(spec)
        assert len(server.asked) == 2
    assert target.received == b""


def test_the_environment_s_two_names_of_a_server_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain reads ``OPENAI_API_BASE`` first, OpenAI's client ``OPENAI_BASE_URL`` alone."""
    with Listener() as other, OpenAIServer([ENDS]) as server:
        monkeypatch.setenv("OPENAI_API_BASE", f"{other.url}/v1")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        ask_teacher("openai:m")
        assert destination.of("openai:m") == server.base_url
        assert len(server.asked) == 1
    assert other.received == b""


def test_a_request_to_another_host_is_not_sent(target: Listener) -> None:
    with (
        wire.client(parse("http://127.0.0.1:9"), 2.0) as client,
        pytest.raises(wire.Redirected, match=r"another host than .127\.0\.0\.1."),
    ):
        client.post(f"{target.url}/x", content=CANARY)
    assert target.received == b""


def test_names_that_hold_an_at_of_their_own() -> None:
    assert served.read("google:claude@20240620").model == "claude@20240620"
    with pytest.raises(InputError, match="second '@'"):
        served.read("openai:@cf/m@http://h")
    with pytest.raises(InputError, match="takes no URL"):
        served.read("anthropic:m@https://evil.example")


# --- no client is made elsewhere ------------------------------------------------------------------

MAKERS = {
    "httpx": {"Client", "AsyncClient", "get", "post", "put", "head", "request", "stream"},
    "ollama": {"Client", "AsyncClient", "chat", "generate", "embed", "list", "show"},
    "openai": {"OpenAI", "AsyncOpenAI"},
    "requests": {"get", "post", "request"},
    "urllib.request": {"urlopen", "urlretrieve"},
    "request": {"urlopen", "urlretrieve"},
}
BARE = {"ChatOpenAI", "ChatOllama", "QdrantClient", "AsyncQdrantClient", "urlopen"}
HOW = ("**wire.", "**sends", "=sends", "=wire.openai_client(", "':memory:'")
DOWNLOADS = ("evals/tasks/fetch.py",)
"""They follow redirects, and send no text."""


def test_every_client_is_made_as_the_rules_say() -> None:
    found = 0
    for path in sorted(p for p in sources() if not str(p).endswith(DOWNLOADS)):
        if "benchmarks" in path.parts or (path.name == "wire.py" and path.parent.name == "core"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _makes_a_client(ast.unparse(node.func)):
                found += 1
                said = ast.unparse(node)
                assert any(how in said for how in HOW), f"{path.name}:{node.lineno}: {said}"
    assert found >= 8


def _makes_a_client(name: str) -> bool:
    library, _, made = name.rpartition(".")
    return made in MAKERS.get(library, ()) or (not library and made in BARE)
