"""Libraries are silenced below the policy ``open``."""

from __future__ import annotations

import pytest

from preceptor.core.egress import Policy
from preceptor.core.quiet import LOOPBACK, OFF, TRACERS, hush


@pytest.mark.parametrize("policy", ["local-only", "redacted"])
def test_tracing_telemetry_and_downloads_are_off(policy: Policy) -> None:
    environ = {"LANGSMITH_TRACING": "true", "OPENAI_LOG": "debug", "HF_HUB_OFFLINE": "0", "HOME": "x"}
    hush(policy, environ)
    assert {k: environ[k] for k in OFF} == OFF
    assert environ["HOME"] == "x"


def test_under_open_nobody_is_sent_traces_and_hubs_stay_as_they_are() -> None:
    environ = {"LANGSMITH_TRACING": "true", "LANGSMITH_GATEWAY": "true"}
    hush("open", environ)
    assert {k: environ[k] for k in TRACERS} == TRACERS
    assert (environ["LANGSMITH_TRACING"], environ["LANGSMITH_GATEWAY"]) == ("false", "false")
    assert "HF_HUB_OFFLINE" not in environ


@pytest.mark.parametrize("policy", ["local-only", "redacted", "open"])
def test_what_is_meant_for_this_machine_goes_through_no_proxy(policy: Policy) -> None:
    environ = {"HTTP_PROXY": "http://proxy.example:3128", "NO_PROXY": "intranet.example, localhost"}
    hush(policy, environ)
    assert environ["NO_PROXY"].split(",") == ["intranet.example", *LOOPBACK]
    assert environ["no_proxy"].split(",") == list(LOOPBACK)


def test_langsmith_and_the_hub_that_are_loaded_believe_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from langsmith import utils

    for name in OFF:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    utils.get_env_var.cache_clear()  # type: ignore[attr-defined]
    assert utils.tracing_is_enabled()
    hush("redacted", os.environ)
    assert not utils.tracing_is_enabled()
