"""Whether the Python that a run names may run: it does where the run was begun, or a person says so.

Owns what of a run's ``config`` names code, and where its seal stands; ``core.permission`` decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from preceptor.core import permission
from preceptor.core.runs import RunStore

SEAL = "code_seal"


def sealed(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a new run's config, with a seal if its task or metric is Python code."""
    made = permission.seal(_named(config))
    return {**config, SEAL: made} if made else config


def check(store: RunStore) -> None:
    """Refuse a run of somebody else whose task or metric is Python code.

    Raises:
        InputError: Naming the code, and how to let it run.
    """
    permission.check(_named(store.config), store.config.get(SEAL), f"run {store.name!r}")


def _named(config: Mapping[str, JsonValue]) -> list[str]:
    options = config.get("options")
    said = options if isinstance(options, dict) else {}
    found = [said.get("task"), said.get("metric"), config.get("metric")]
    return [name for name in found if isinstance(name, str)]
