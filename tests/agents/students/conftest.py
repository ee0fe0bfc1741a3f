"""Scripted servers that the students of this folder are asked through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from preceptor.agents.servers.openai import OpenAIServer
from tests.agents.students.serving import Serve


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a server of chat completions; all are closed in the end."""
    servers: list[OpenAIServer] = []

    def start(*args: object, **kwargs: object) -> OpenAIServer:
        servers.append(OpenAIServer(*args, **kwargs))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()
