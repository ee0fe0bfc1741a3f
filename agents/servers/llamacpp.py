"""llama.cpp's own server on a GGUF file, out of the xllamacpp wheel, in a process of its own.

Owns its start, its address and its end. By hand:

    python -m preceptor.agents.servers.llamacpp MODEL.gguf --port 8080

A process of its own because what goes wrong in native code ends the process that it runs in. There is
no prompt cache: what is read of a prompt is what is counted, and no answer depends on one before it.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from preceptor.core import child, machine
from preceptor.core.errors import StudentError

AT = "listening at "


class LlamaCppServer:
    """Serves a file on this machine until closed; a context manager.

    Args:
        file: The GGUF file.
        context: The longest prompt and answer; what the file says if 0.
        threads: Threads; 0 means all cores.
        template: A file with another chat template than the model's own, one with a place for tools.

    Raises:
        StudentError: If the file cannot be served.
    """

    def __init__(
        self, file: Path, context: int = 0, threads: int = 0, template: Path | None = None
    ) -> None:
        command = [sys.executable, "-P", "-m", "preceptor.agents.servers.llamacpp", str(file)]
        options = ["--context", str(context), "--threads", str(threads), "--while-stdin"]
        options += ["--template", str(template)] if template else []
        self._log = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C at a terminal reaches the caller alone, who closes it.
        self._process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=child.environ(),
            start_new_session=True,
        )
        self.url = self._address()
        if not self.url:
            code = self._process.wait()
            self._log.seek(0)
            ended = f"signal {-code}" if code < 0 else f"exit code {code}"
            why = child.last_line(self._log.read()) or ended
            self.close()
            raise StudentError(f"llama.cpp cannot serve {file.name!r}: {why}")

    def close(self) -> None:
        """End the process. May be called twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _address(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode("utf-8", "replace").strip()
            if text.startswith(AT):
                return text.removeprefix(AT)
        return ""


def main() -> int:
    """Serve a file until a signal, or the end of stdin, says stop."""
    parser = argparse.ArgumentParser(prog="python -m preceptor.agents.servers.llamacpp")
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--context", type=int, default=0, help="default: what the file says")
    parser.add_argument("--threads", type=int, default=0, help="default: all cores")
    parser.add_argument("--template", type=Path, help="default: the model's own")
    parser.add_argument("--while-stdin", action="store_true", help="end at the end of stdin")
    asked = parser.parse_args()
    try:
        server = _serve(asked)
    except ImportError:
        print("xllamacpp is missing: pip install 'preceptor[gguf]'", file=sys.stderr)
        return 5
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 5
    print(f"{AT}{server.listening_address}", flush=True)
    with suppress(KeyboardInterrupt):
        if asked.while_stdin:
            sys.stdin.buffer.read()
        else:
            signal.pause()
    return 0


def _serve(asked: argparse.Namespace) -> Any:
    native: Any = importlib.import_module("xllamacpp")
    threads = asked.threads or machine.cores()
    params = native.CommonParams()
    params.model.path = str(asked.file)
    params.port = asked.port
    params.n_ctx = asked.context
    # One answer at a time: what is read together changes roundings.
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_prompt = False
    params.warmup = False
    if asked.template:
        params.chat_template = asked.template.read_text("utf-8")
    params.ui = False
    params.verbosity = 0
    return native.Server(params)


if __name__ == "__main__":
    sys.exit(main())
