"""What Ollama calls its models: when two spellings mean one model, and what to say where none does.

Owns the rule, which is that of ``types/model/name.go`` in ollama/ollama: a name is
HOST/NAMESPACE/MODEL:TAG, of which all but the model may be left out (``registry.ollama.ai``,
``library``, ``latest``), and case means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"


def canonical(name: str) -> str:
    """Return the whole name of a model: all spellings of it have the same one."""
    bare = name.strip().casefold().rpartition("://")[2]
    rest, tag = bare, ""
    if bare.rfind(":") > bare.rfind("/"):
        rest, _, tag = bare.rpartition(":")
    *before, model = rest.split("/")
    space = before.pop() if before else NAMESPACE
    host = "/".join(before) or HOST
    return f"{host}/{space or NAMESPACE}/{model}:{tag or TAG}"


def same(one: str, other: str) -> bool:
    """Return whether two names mean one model."""
    return canonical(one) == canonical(other)


def plain(name: str) -> str:
    """Return the shortest spelling of a name, in lower case."""
    short = canonical(name).removeprefix(f"{HOST}/").removeprefix(f"{NAMESPACE}/")
    return short.removesuffix(f":{TAG}")


def find(name: str, listed: Iterable[str]) -> str | None:
    """Return the name in a list that means the same model, as it is spelt there, or None."""
    wanted = canonical(name)
    return next((one for one in listed if canonical(one) == wanted), None)


def mend(name: str, listed: Iterable[str] = ()) -> str:
    """Return what to do about a name that no model of a server has.

    Near names that the server does have go first: to pull the name that failed may fail again.
    """
    if "@" in name or "://" in name:
        return "write ollama:NAME; the server's address is OLLAMA_HOST"
    if any(sign.isspace() for sign in name):
        return "a model's name has no blanks; see what is there: ollama list"
    short, there = plain(name), [plain(one) for one in listed]
    model = short.partition(":")[0]
    kin = [one for one in there if one.partition(":")[0] == model]
    near = kin or get_close_matches(short, there, n=3, cutoff=0.6)
    if near:
        return f"the server has {' and '.join(near[:3])}; to get another: ollama pull"
    return f"ollama pull {short}"


class ByName(dict[str, str]):
    """Something of each model, by its name in any spelling."""

    def _spelt(self, name: object) -> object:
        return (find(name, self.keys()) or name) if isinstance(name, str) else name

    def __contains__(self, name: object) -> bool:
        """Return whether there is such a model."""
        return super().__contains__(self._spelt(name))

    def __getitem__(self, name: str) -> str:
        """Return what stands under a name; raises ``KeyError`` if there is no such model."""
        return super().__getitem__(str(self._spelt(name)))

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return what stands under a name, the default if there is no such model."""
        return self[name] if name in self else default
