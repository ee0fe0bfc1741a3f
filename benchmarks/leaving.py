"""What leaves although nobody said that it may: the section of ``docs/results/robustness.md`` about it.

    python -m benchmarks.leaving

Plays the suite of ``tests/hostile/test_leaving.py``: every client of the program against a server that
answers 307, and every spelling of this machine beside a proxy. A listener that logs every byte is the
target of the redirect, and the proxy.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import httpx

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer
from preceptor.core.errors import PreceptorError
from tests.hostile.listener import PROXIES, Listener, Mover
from tests.hostile.notes import CANARY
from tests.hostile.test_leaving import HERE, SENDERS, SERVERS, ask_student, embed

HEAD = """
## What leaves

`python -m benchmarks.leaving`

Redirects: the server answers 307 and points at a listener. Proxies: every variable that names one names
a listener, and the server is named in every way that is this machine. Counted is what the listener
received, of anything.

| what is tried | bytes received | the program says |
| --- | ---: | --- |"""


def rows() -> Iterator[str]:
    """Yield the table's rows."""
    with Listener() as target, Mover(target) as server:
        httpx.post(f"{server.url}/x", content=CANARY, follow_redirects=True, trust_env=False)
        yield _row("control: a client that follows a redirect", target, "nothing")
    for who, send in SENDERS.items():
        with Listener() as target:
            said = "nothing"
            try:
                send(target)
            except PreceptorError as error:
                named = f"'localhost:{target.port}' (status 307)" in error.message
                said = "an error that names the target" if named else type(error).__name__
            yield _row(f"redirect: {who}", target, said)
    with Listener() as proxy:
        httpx.post("http://192.0.2.1/x", content=CANARY, proxy=f"http://127.0.0.1:{proxy.port}")
        yield _row("control: a client that takes a proxy", proxy, "nothing")
    for host in HERE:
        with Listener() as proxy:
            _behind(proxy, host)
            yield _row(f"proxy: student and embedder at {host}", proxy, "answered, without the proxy")


def _behind(proxy: Listener, host: str) -> None:
    """Ask students and embedders on this machine while the environment names a proxy."""
    with OpenAIServer() as server, OllamaServer(models={"m": 4096}) as ollama:
        for name in PROXIES[:3]:
            os.environ[name] = os.environ[name.lower()] = f"http://127.0.0.1:{proxy.port}"
        os.environ["OLLAMA_HOST"] = ollama.url.replace("127.0.0.1", host)
        spec = f"openai:m@{server.base_url.replace('127.0.0.1', host)}"
        for one in (spec, "ollama:m"):
            ask_student(one)
            embed(one)
        _plain()


def _plain() -> None:
    for name in (*SERVERS, *PROXIES, *map(str.lower, PROXIES)):
        os.environ.pop(name, None)


def _row(what: str, heard: Listener, said: str) -> str:
    return f"| {what} | {len(heard.received):,} | {said} |"


def main() -> None:
    """Print the section."""
    _plain()
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder, chdir(Path(folder)):
        for row in rows():
            print(row, flush=True)


if __name__ == "__main__":
    main()
