import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.prices import Price, PriceTable

TABLE = PriceTable()


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("gpt-4o", 12.5),
        ("openai:gpt-4o", 12.5),
        ("openai:gpt-4o-2024-08-06", 12.5),
        ("gpt-4o-2024-05-13", 20.0),
        ("gpt-4o-mini-2024-07-18", 0.75),
        ("gpt-4.1", 10.0),
        ("gpt-4.1-nano", 0.5),
    ],
)
def test_a_known_model_costs_its_listed_price(model: str, dollars: float) -> None:
    assert TABLE.cost(model, 1_000_000, 1_000_000) == pytest.approx(dollars)


@pytest.mark.parametrize(
    "model",
    [
        "rules",
        "nano",
        "hf:some/model",
        "ollama:llama3.2:1b",
        "scripted",
        "simulated",
        "openai:qwen@http://localhost:8000/v1",
        "openai:qwen@http://127.0.0.1/v1",
    ],
)
def test_what_runs_here_costs_nothing_even_if_nobody_counts_tokens(model: str) -> None:
    assert TABLE.cost(model, None, None) == 0


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-audio-preview",
        "gpt-4oo",
        "openai:gpt-4o@https://proxy.example/v1",
        "openai:gpt-4o@http://localhost.example/v1",
        "anthropic:claude",
        "",
        "*",
    ],
)
def test_an_unknown_model_has_no_price(model: str) -> None:
    assert TABLE.find(model) is None
    assert TABLE.cost(model, 1, 1) is None


def test_an_unknown_token_count_makes_the_cost_unknown() -> None:
    assert TABLE.cost("gpt-4o", 10, None) is None
    assert TABLE.cost("gpt-4o", None, 10) is None
    assert TABLE.cost("gpt-4o", 0, 0) == 0


def test_what_the_user_says_comes_first() -> None:
    said: dict[str, JsonValue] = {
        "gpt-4o": {"input": 1, "output": "2", "date": "2026-11-01"},
        "ollama:*": {"input": 0.5, "output": 0.5, "source": "electricity"},
        "my-model": {"input": 3, "output": 4},
    }
    table = TABLE.override(said)
    assert table.cost("openai:gpt-4o", 1_000_000, 1_000_000) == 3
    assert table.cost("ollama:x", 1_000_000, 0) == 0.5
    assert table.find("my-model") == Price(pattern="my-model", input=3, output=4, source="user")
    assert table.cost("gpt-4o-mini", 1_000_000, 0) == 0.15
    assert TABLE.find("my-model") is None


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"input": 1}, "m.output"),
        ({"input": -1, "output": 1}, "m.input"),
        ({"input": 1, "output": 1, "inptu": 1}, "m.inptu"),
        (5, "m.input"),
    ],
)
def test_what_is_no_price_is_refused_by_its_key(entry: JsonValue, key: str) -> None:
    with pytest.raises(InputError, match=rf"preceptor.toml: {key}: .*--set"):
        TABLE.override({"m": entry}, "preceptor.toml")


def test_a_batch_costs_half_at_openai_and_what_the_user_says_elsewhere() -> None:
    assert TABLE.cost("openai:gpt-4o", 1_000_000, 1_000_000, batch=True) == 6.25
    here = "openai:m@http://h/v1"
    plain: dict[str, JsonValue] = {here: {"input": 1, "output": 1}}
    assert TABLE.override(plain).cost(here, 1_000_000, 0, batch=True) == 1
    said: dict[str, JsonValue] = {here: {"input": 1, "output": 1, "batch": 0.4}}
    assert TABLE.override(said).cost(here, 1_000_000, 0, batch=True) == 0.4
    assert TABLE.cost("gpt-4o", None, 1, batch=True) is None
    assert TABLE.cost("mystery", 1, 1, batch=True) is None


def test_every_remote_price_says_when_and_where_from() -> None:
    for price in TABLE.prices:
        assert price.source
        assert price.date or price.input == price.output == 0
