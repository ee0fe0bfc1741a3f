"""Creating models: the scripted server keeps to Ollama's API, and the client to what it may ask."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import ollama
import pytest

from preceptor.agents.publish import Model, Publisher
from preceptor.agents.servers.hosting import Created, Library, fill, hollow
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.core.errors import StudentError

COPY = "preceptor/live-test:2"
LIVE = os.environ.get("PRECEPTOR_OLLAMA_URL", "")


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer(library=Library(architectures=("Lfm2ForCausalLM",)), models={}) as made:
        yield made


def model(folder: Path, architecture: str = "Lfm2ForCausalLM") -> Model:
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    (folder / "model.safetensors").write_bytes(b"\x00\xff" * 1000)
    files = {name: folder / name for name in ("config.json", "model.safetensors")}
    template = "{{ if .System }}[{{ .System }}]{{ else }}-{{ end }}{{ .Prompt }}!"
    return Model("preceptor/t:1", files, template, "Be brief.", {"temperature": 0}, "q8_0")


def test_created_asked_and_deleted_by_the_real_client(server: OllamaServer, tmp_path: Path) -> None:
    said: list[str] = []
    publisher = Publisher(server.url)
    publisher.create(model(tmp_path), said.append)
    assert said[-4:] == [
        "converting model", "quantizing F16 model to Q8_0", "writing manifest", "success",
    ]  # fmt: skip
    assert publisher.names() == ["preceptor/t:1"]
    client = ollama.Client(host=server.url)
    assert client.show("preceptor/t:1").capabilities
    shape: dict[str, object] = {"properties": {"a": {"enum": ["x", "y"]}}}
    raw = client.generate("preceptor/t:1", "one two", raw=True, format=shape)
    plain = client.generate("preceptor/t:1", "one two", format=shape)
    chat = client.chat("preceptor/t:1", [{"role": "user", "content": "one two"}], format=shape)
    assert (raw.response, raw.prompt_eval_count, raw.done_reason) == ('{"a": "y"}', 2, "stop")
    assert (plain.prompt_eval_count, chat.prompt_eval_count) == (8, 8)
    assert chat.message.content == '{"a": "y"}'
    publisher.delete("preceptor/t:1")
    with pytest.raises(StudentError, match=r"delete 'preceptor/t:1' \(status 404\)"):
        publisher.delete("preceptor/t:1")
    publisher.close()


def test_only_what_is_missing_is_uploaded(server: OllamaServer, tmp_path: Path) -> None:
    made, said = model(tmp_path), list[str]()
    publisher = Publisher(server.url)
    publisher.create(made, said.append)
    (tmp_path / "config.json").write_text('{"architectures": ["Lfm2ForCausalLM"], "more": 1}')
    publisher.create(made, said.append)
    sent = [(r.method, r.path) for r in server.requests if "/blobs/" in r.path]
    assert [method for method, _ in sent] == ["HEAD", "POST", "HEAD", "POST", "HEAD", "POST", "HEAD"]
    assert "model.safetensors: there already" in said
    [created] = server.library.created.values()
    assert created.files["model.safetensors"] == b"\x00\xff" * 1000


def test_errors_are_one_line(server: OllamaServer, tmp_path: Path) -> None:
    publisher = Publisher(server.url)
    with pytest.raises(StudentError) as error:
        publisher.create(model(tmp_path, "ZephyrForCausalLM"), lambda _: None)
    assert str(error.value) == (
        "Ollama could not create 'preceptor/t:1': unsupported architecture \"ZephyrForCausalLM\""
    )
    server.close()
    with pytest.raises(StudentError, match="does not answer at http"):
        publisher.names()


def test_a_blob_of_another_content_is_refused(server: OllamaServer) -> None:
    client = ollama.Client(host=server.url)
    with pytest.raises(httpx.HTTPStatusError) as error:
        client._client.post(f"/api/blobs/sha256:{'0' * 64}", content=b"x").raise_for_status()
    assert error.value.response.status_code == 400


def test_a_copy_takes_the_place_of_what_had_the_name() -> None:
    with OllamaServer(models={}) as server:
        publisher = Publisher(server.url)
        for name, template in (("a:1", "{{ .Prompt }}!"), ("b:1", "{{ .Prompt }}?")):
            server.library.created[name] = Created({}, template)
            server.library._engines[name] = hollow(server.library.created[name])
        publisher.copy("a:1", "b:1")
        assert {m.template for m in server.library.created.values()} == {"{{ .Prompt }}!"}
        publisher.delete("a:1")
        assert publisher.names() == ["b:1"]
        with pytest.raises(StudentError, match=r"could not copy 'a:1' to 'b:1' \(status 404\)"):
            publisher.copy("a:1", "b:1")
        publisher.close()


@pytest.mark.parametrize("template", ["{{ if .System }}a", "{{ range .Messages }}", "{{ .Prompt"])
def test_templates_that_are_none(template: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        fill(template, {"System": "", "Prompt": ""})


@pytest.mark.live
@pytest.mark.skipif(not LIVE, reason="PRECEPTOR_OLLAMA_URL names no server")
def test_a_real_server_takes_the_embedded_student() -> None:
    from preceptor import nano

    folder = nano.path()
    files = {p.name: p for p in folder.iterdir() if p.suffix in (".json", ".safetensors")}
    made = Model("preceptor/live-test:1", files, "{{ .System }}{{ .Prompt }}")
    publisher, said = Publisher(LIVE), list[str]()
    publisher.create(made, said.append)
    try:
        assert said[-1] == "success"
        got = ollama.Client(host=LIVE).generate(made.name, "<|bos|><|user|>Hi<|end|>", raw=True)
        assert got.prompt_eval_count
        publisher.create(made, said.append)
        assert "model.safetensors: there already" in said
        publisher.copy(made.name, COPY)
        digests = publisher.digests()
        assert digests[COPY] == digests[made.name]
        publisher.delete(COPY)
    finally:
        publisher.delete(made.name)
        publisher.close()
