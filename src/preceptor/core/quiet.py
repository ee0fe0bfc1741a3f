"""Silence: what libraries send of their own accord is switched off before they are imported.

Owns two lists of environment variables. Tracing services would get whole prompts, and so whole notes:
they are off under every policy, whatever the environment says; the one that the settings can switch on
is ``graphs.tracing``. Model hubs and usage statistics get less, but nobody asked for it: they are off
unless the policy is ``open``.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping

from preceptor.core.egress import Policy

TRACERS: dict[str, str] = {
    "LANGSMITH_TRACING": "false",
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_OTEL_ENABLED": "false",
    # Sends what is meant for a provider through LangSmith.
    "LANGSMITH_GATEWAY": "false",
    "OTEL_SDK_DISABLED": "true",
    "LANGFUSE_TRACING_ENABLED": "false",
    "WANDB_MODE": "disabled",
    "WANDB_DISABLED": "true",
    "COMET_MODE": "disabled",
    "NEPTUNE_MODE": "offline",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}
"""What is set under every policy: nobody is sent traces of prompts and answers."""

OFF: dict[str, str] = {
    **TRACERS,
    # Usage statistics.
    "DO_NOT_TRACK": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "SCARF_NO_ANALYTICS": "true",
    # Model hubs: what is not on this machine is not fetched.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    # Logs that would hold whole requests.
    "OPENAI_LOG": "",
    "ANTHROPIC_LOG": "",
    "LANGCHAIN_VERBOSE": "false",
    "LANGCHAIN_DEBUG": "false",
    "OLLAMA_DEBUG": "",
}
"""What is set below ``open``, for this process and those that it starts."""

LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
"""Never asked for through a proxy by clients that are not ours; ours take none: see ``core.wire``."""

_HUB = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")


def hush(policy: Policy, environ: MutableMapping[str, str]) -> None:
    """Switch tracing off; telemetry and downloads of libraries, too, unless the policy is ``open``.

    Args:
        policy: What may leave.
        environ: The environment to change: ``os.environ``.
    """
    for name in ("NO_PROXY", "no_proxy"):
        named = [part.strip() for part in environ.get(name, "").split(",") if part.strip()]
        environ[name] = ",".join(dict.fromkeys([*named, *LOOPBACK]))
    environ.update(TRACERS if policy == "open" else OFF)
    tell_tracer()
    if policy != "open":
        _tell_hub()


def tell_tracer() -> None:
    """Have LangSmith's library read the environment again."""
    traced = sys.modules.get("langsmith.utils")
    if traced is not None:
        traced.get_env_var.cache_clear()


def _tell_hub() -> None:
    """Tell the hub's library, which may have read the environment already."""
    hub = sys.modules.get("huggingface_hub.constants")
    for name in _HUB if hub is not None else ():
        setattr(hub, name, True)
