"""Silence: what libraries send of their own accord is switched off before they are imported.

Owns one list of environment variables. Tracing services would get whole prompts, and so whole notes;
model hubs and usage statistics get less, but nobody asked for it. Under the policy ``open`` nothing is
touched.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping

from preceptor.core.egress import Policy

OFF: dict[str, str] = {
    # Tracing of prompts and answers.
    "LANGSMITH_TRACING": "false",
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_OTEL_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "LANGFUSE_TRACING_ENABLED": "false",
    "WANDB_MODE": "disabled",
    "WANDB_DISABLED": "true",
    "COMET_MODE": "disabled",
    "NEPTUNE_MODE": "offline",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
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
"""What is set, for this process and those that it starts."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Never asked for through a proxy: it would get what is meant for this machine."""

_HUB = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")


def hush(policy: Policy, environ: MutableMapping[str, str]) -> None:
    """Switch tracing, telemetry and downloads of libraries off, unless the policy is ``open``.

    Args:
        policy: What may leave.
        environ: The environment to change: ``os.environ``.
    """
    for name in ("NO_PROXY", "no_proxy"):
        named = [part.strip() for part in environ.get(name, "").split(",") if part.strip()]
        environ[name] = ",".join(dict.fromkeys([*named, *LOOPBACK]))
    if policy == "open":
        return
    environ.update(OFF)
    _tell_loaded()


def _tell_loaded() -> None:
    """Tell the libraries that have read the environment already."""
    traced = sys.modules.get("langsmith.utils")
    if traced is not None:
        traced.get_env_var.cache_clear()
    hub = sys.modules.get("huggingface_hub.constants")
    for name in _HUB if hub is not None else ():
        setattr(hub, name, True)
