"""Names of Ollama's models are compared as the server does."""

from __future__ import annotations

import pytest

from preceptor.core.ollama_names import ByName, canonical, find, mend, plain, same

ONE = (
    "smollm2:135m",
    "SmolLM2:135M",
    "library/smollm2:135m",
    "registry.ollama.ai/library/smollm2:135m",
    "https://registry.ollama.ai/library/SMOLLM2:135m",
)


@pytest.mark.parametrize("spelt", ONE)
def test_spellings_of_one_model(spelt: str) -> None:
    assert canonical(spelt) == "registry.ollama.ai/library/smollm2:135m"
    assert plain(spelt) == "smollm2:135m"
    assert find(spelt, ["x:latest", "SmolLM2:135m"]) == "SmolLM2:135m"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("smollm2", "smollm2:135m"),
        ("smollm2", "me/smollm2"),
        ("hf.co/me/smollm2", "me/smollm2"),
        ("localhost:5000/me/x", "localhost:5001/me/x"),
    ],
)
def test_other_models(one: str, other: str) -> None:
    assert not same(one, other)


def test_the_latest_is_meant_where_no_tag_is_named() -> None:
    assert same("smollm2", "SmolLM2:latest")
    assert plain("smollm2:latest") == "smollm2"
    assert plain("hf.co/Me/X:Q4_K_M") == "hf.co/me/x:q4_k_m"
    assert plain("localhost:5000/me/x") == "localhost:5000/me/x"


def test_what_is_known_by_name_is_found_by_all_spellings() -> None:
    digests = ByName({"Preceptor/a:1": "d"})
    assert "preceptor/A:1" in digests
    assert digests["preceptor/a:1"] == digests.get("preceptor/A:1") == "d"
    assert digests.get("preceptor/a:2") is None
    assert "preceptor/a" not in digests


@pytest.mark.parametrize(
    ("name", "listed", "said"),
    [
        ("smollm2", ["smollm2:135m", "x:latest"], "the server has smollm2:135m; "),
        ("smolm2:135m", ["smollm2:135m"], "the server has smollm2:135m; "),
        ("Llama3.2", [], "ollama pull llama3.2"),
        ("x@http://host:11434", [], "OLLAMA_HOST"),
        ("a b", [], "no blanks"),
    ],
)
def test_a_hint_never_repeats_the_spelling_that_failed(name: str, listed: list[str], said: str) -> None:
    hint = mend(name, listed)
    assert said in hint
    assert name not in hint.replace("smollm2:135m", "")
