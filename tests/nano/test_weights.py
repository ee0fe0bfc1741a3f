"""The shipped weights answer as their card says: a small part of the evaluation, repeated."""

from __future__ import annotations

import json
from functools import cache

import pytest

from preceptor.nano import pack, path

pytest.importorskip("torch")
pytest.importorskip("transformers")

from preceptor.nano import evaluate

COUNT = 60
SEED = 8_100_000


@cache
def report() -> dict[str, dict[str, dict[str, float]]]:
    found = evaluate.evaluate(path(), COUNT, SEED, free=COUNT)
    return {k: v for k, v in found.items() if isinstance(v, dict)}


def share(condition: str, row: str) -> float:
    return report()[condition][row]["share"]


def test_the_package_is_small() -> None:
    assert sum(f.stat().st_size for f in path().iterdir()) <= pack.LIMIT
    settings = json.loads((path() / "config.json").read_text())
    assert settings["architectures"] == ["Lfm2ForCausalLM"]
    assert (path() / "README.md").exists()


@pytest.mark.slow
def test_hints_lift() -> None:
    assert share("hints", "all") - share("bare", "all") >= 0.15


@pytest.mark.slow
def test_worked_sentences_lift() -> None:
    assert share("three sentences", "all") > share("bare", "all")


@pytest.mark.slow
def test_rules_are_followed() -> None:
    assert share("rule decides", "all") - (1 - share("the same without the rule", "all")) >= 0.3


@pytest.mark.slow
def test_free_answers_are_json() -> None:
    free = [name for name in report() if name.endswith("unconstrained")]
    assert free
    assert min(share(name, "json") for name in free) >= 0.9
    assert min(share(name, "valid") for name in free) >= 0.9  # with the field's own name


@pytest.mark.slow
def test_constrained_answers_always_are() -> None:
    assert all(rows["valid"]["share"] == 1 for rows in report().values() if "kind U" in rows)
