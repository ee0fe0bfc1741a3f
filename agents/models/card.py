"""The card beside a fetched model: where it comes from, its licence, and what was done to it."""

from __future__ import annotations

from preceptor.agents.models.gguf import Converted
from preceptor.core.catalogue import Entry

_LICENCES = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "MIT": "https://opensource.org/license/mit",
    "Llama 3.2 Community License": "https://www.llama.com/llama3_2/license/",
    "Gemma Terms of Use": "https://ai.google.dev/gemma/terms",
}


def text(entry: Entry, source: str, date: str, converted: Converted | None) -> str:
    """Return the card, Markdown.

    Args:
        entry: The model.
        source: The package or repository that it came from.
        date: When it was fetched.
        converted: What came of a conversion, if there was one.
    """
    url = _LICENCES.get(entry.licence, "")
    rows = [
        f"# {entry.title}",
        "",
        f"Fetched by Preceptor on {date} as `{entry.name}`, named `{entry.spec}`. Do not change",
        "this folder: a change is noticed and the model refused. Copy it to make a model of your own.",
        "",
        f"- Source: {source}",
        f"- Licence of the model: {entry.licence}" + (f" ({url})" if url else ""),
        "- `LICENSE.package`, if there is one, is the licence of the package that carried it.",
    ]
    if entry.prefix:
        rows.append(f"- Every text is embedded with {entry.prefix!r} before it, as its makers ask.")
    if converted is not None:
        rows += [*_conversion(converted)]
    return "\n".join(rows) + "\n"


def _conversion(made: Converted) -> list[str]:
    context = f", context {made.context:,} tokens" if made.context else ""
    return [
        f"- {made.parameters:,} weights{context}",
        "",
        "## Precision",
        "",
        "The weights were quantised in the GGUF file, which lies here for llama.cpp. In",
        "`model.safetensors` they are taken out of the blocks again: matrices as 16-bit floats, as the",
        "scales of the blocks are, vectors as the 32-bit floats that they are in the file. No stored",
        f"weight is further from the file's than {made.error:.1e} of the largest of its matrix.",
        "They are computed in 32 bits. It is not the model that its makers published at full",
        "precision: what quantisation took is gone.",
    ]
