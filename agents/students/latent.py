"""Uniform numbers that belong to a key: chance that is the same on every machine and in every batch."""

from __future__ import annotations

from hashlib import blake2b


def latent(*key: object) -> float:
    """Return the uniform number in [0, 1) that belongs to ``key``."""
    name = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(name, digest_size=6).digest(), "big") / 2**48
