"""What the fixture ``serve`` gives."""

from __future__ import annotations

from collections.abc import Callable

from preceptor.agents.servers.openai import OpenAIServer

Serve = Callable[..., OpenAIServer]
