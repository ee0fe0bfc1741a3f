"""What Ollama's importer calls the way in which a tokenizer splits text before its merges.

Owns the names. The importer hashes the regular expressions of all ``Split`` steps in
``tokenizer.json`` and looks the hash up; what it does not find becomes ``default``, which splits
punctuation and digits in a way of its own: such a model reads other tokens than it was trained on,
without any error. The table was read in ollama/ollama, ``convert/tokenizer.go``; what becomes of a
tokenizer that is not in it was measured on a real server.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

DEFAULT = "default"
"""What an unknown way of splitting becomes."""

PIECES = "sentencepiece"
"""A vocabulary of whole pieces (``tokenizer.model``): it needs no pre-tokenizer."""

KNOWN = {
    "d98f9631be1e9607a9848c26c1f9eac1aa9fc21ac6ba82a2fc0741af9780a48f": "llama-bpe",
    "03df5c5863ad70781dcfdef491ead25140f895fe8010964be0daefe27be32b02": "deepseek-llm",
    "21cde974d587f0d54dc8d56b183cc1e6239600172035c68fbd6d4b9f8da0576e": "deepseek-coder",
    "1ff7f41064896984db5d1bb6ff64fa4bc29007d08c1b439e505b7392777a319e": "qwen2",
    "00431aed57e696b747435f734d1e3b9b1bfd931a121fb5cac7129e97c181e9ba": "qwen35",
    "b92c0824a58e1d8dc3221cf3e12c433c3a86f57e46d57229993489f0798e7702": "laguna",
}
"""Names by the SHA-256 of the regular expressions, one after the other."""


def imported(folder: Path) -> str:
    """Return what the importer makes of the tokenizer in a model's folder; empty if there is none."""
    if (folder / "tokenizer.model").is_file():
        return PIECES
    try:
        return named((folder / "tokenizer.json").read_bytes())
    except OSError:
        return ""


def named(tokenizer: bytes) -> str:
    """Return what the importer calls the pre-tokenizer in the content of a ``tokenizer.json``."""
    try:
        steps = json.loads(tokenizer)["pre_tokenizer"]["pretokenizers"]
        # A step that stands alone, outside of a Sequence, is not looked at.
        said = [str(s["pattern"].get("Regex", "")) for s in steps if s.get("type") == "Split"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return DEFAULT
    return KNOWN.get(hashlib.sha256("".join(said).encode()).hexdigest(), DEFAULT)
