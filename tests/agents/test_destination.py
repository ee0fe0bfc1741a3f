"""Where text for a model goes."""

from __future__ import annotations

import pytest

from preceptor.agents.destination import OLLAMA_CLOUD, OPENAI, is_remote, of


@pytest.mark.parametrize("spec", ["", "rules", "nano", "hf:some/folder", "simulated", "scripted"])
def test_in_process(spec: str) -> None:
    assert of(spec, {}) == ""
    assert not is_remote(spec)


@pytest.mark.parametrize(
    ("spec", "environ", "url"),
    [
        ("openai:gpt-4o", {}, OPENAI),
        ("openai:x@http://127.0.0.1:8000/v1", {}, "http://127.0.0.1:8000/v1"),
        (
            "openai:x@http://127.0.0.1:8000/v1",
            {"OPENAI_BASE_URL": "http://far"},
            "http://127.0.0.1:8000/v1",
        ),
        ("openai:gpt-4o", {"OPENAI_BASE_URL": "http://localhost:1/v1"}, "http://localhost:1/v1"),
        # Two clients read two names: the one that leads away counts.
        (
            "openai:x",
            {"OPENAI_API_BASE": "http://localhost:1", "OPENAI_BASE_URL": "http://far"},
            "http://far",
        ),
        ("ollama:qwen3:4b", {}, "http://127.0.0.1:11434"),
        ("ollama:qwen3:4b", {"OLLAMA_HOST": "0.0.0.0"}, "http://127.0.0.1:11434"),
        ("ollama:qwen3:4b", {"OLLAMA_HOST": "gpu.ward.example:11434"}, "http://gpu.ward.example:11434"),
        ("ollama:qwen3@http://gpu:11434", {}, "http://gpu:11434"),
        # Ollama on this machine passes these on.
        ("ollama:gpt-oss:120b-cloud", {}, OLLAMA_CLOUD),
        ("ollama:GLM-4.6:Cloud", {}, OLLAMA_CLOUD),
        ("ollama:glm-4.6:cloud", {"OLLAMA_HOST": "127.0.0.1"}, OLLAMA_CLOUD),
        ("anthropic:claude", {}, "https://anthropic.invalid"),
    ],
)
def test_by_name_and_environment(spec: str, environ: dict[str, str], url: str) -> None:
    assert of(spec, environ) == url
