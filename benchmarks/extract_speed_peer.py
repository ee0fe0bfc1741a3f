"""Own the other side of ``extract_speed.py``: llama.cpp's server, and LangExtract asking it.

Run by that script with the interpreter of an environment of its own (``pip install xllamacpp
'langextract[openai]'``); it knows nothing of Preceptor. It says where the server is, then answers
requests, one JSON object per line: ``{"fields": […], "values": […], "notes": […]}`` gives the seconds
and how many notes came back with a value.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

EXAMPLE = "Seen today, six weeks after the end of treatment. He reports {0}. There is no {1}."


def serve(file: str, threads: int) -> Any:
    """Start llama.cpp's server with its defaults, one answer at a time."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.port = 0
    params.n_ctx = 8192
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.endpoint_metrics = True
    params.verbosity = 0
    return xllamacpp.Server(params)


def langextract(url: str, fields: list[str], values: list[str], notes: list[str]) -> int:
    """Ask about notes as LangExtract's guide shows it; return how many came back with a value."""
    lx: Any = importlib.import_module("langextract")
    present, absent = values[0], values[1]
    example = lx.data.ExampleData(
        text=EXAMPLE.format(fields[0], fields[1]),
        extractions=[
            lx.data.Extraction(fields[0], f"reports {fields[0]}", attributes={"value": present}),
            lx.data.Extraction(fields[1], f"no {fields[1]}", attributes={"value": absent}),
        ],
    )
    config = lx.factory.ModelConfig(
        model_id="local",
        provider="OpenAILanguageModel",
        provider_kwargs={"base_url": f"{url}/v1", "api_key": "none", "max_output_tokens": 512},
    )
    whole = 0
    for note in notes:
        try:
            got = lx.extract(
                note,
                prompt_description=f"Extract for each of {', '.join(fields)}: "
                f"the words that speak of it, and its value: {', '.join(values)}.",
                examples=[example],
                config=config,
                max_char_buffer=4000,
                use_schema_constraints=False,
                show_progress=False,
            )
            whole += any(one.extraction_class in fields for one in got.extractions or [])
        except (ValueError, KeyError, TypeError, OSError, RuntimeError) as error:
            print(type(error).__name__, str(error)[:200], file=sys.stderr)
    return whole


def main() -> None:
    """Serve and answer until stdin ends."""
    # What libraries print must not stand between the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = serve(sys.argv[1], int(sys.argv[2]))
    url = str(server.listening_address)
    print(json.dumps({"url": url}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.perf_counter()
        whole = langextract(url, asked["fields"], asked["values"], asked["notes"])
        said = {"seconds": time.perf_counter() - begun, "whole": whole}
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    main()
