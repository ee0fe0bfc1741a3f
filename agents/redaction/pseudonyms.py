"""Pseudonyms: another value of the same form for each identifier, the same one all through a run.

Owns the key (a secret per run), how a value of each kind is made from it, and the map back. The same
surface always gets the same pseudonym, so that a reader still sees who and when is the same; without
the map nobody can tell who was meant. The map is a file that only its owner may read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from preceptor.agents.redaction import dates
from preceptor.agents.redaction.spans import Found, Kind
from preceptor.core.files import JsonLines, store_error

_CONSONANTS = "bdfgklmnprstvwz"
_VOWELS = "aeiou"
# Endings that hardly any German or English word has, so that no real word is taken for a pseudonym.
_ENDINGS = ("vik", "rok", "zal", "mek", "tov", "nix", "lund", "zok", "dovar", "pek", "wix", "gurn")
LEAST_BACK = 4
"""A pseudonym with fewer letters and digits is not mapped back: it may well mean itself."""

CROWDED = 3
"""After so many names that are taken, one with another syllable is tried: short ones run out."""

_WORD = re.compile(r"\w+(?:[.'’-]\w+)*")


class Pseudonyms:
    """The pseudonyms of one run.

    Args:
        path: The file of key and map, made with mode 0600 if it is missing; None keeps them in memory.

    Raises:
        StoreError: If the file cannot be made or written.
    """

    def __init__(self, path: Path | None) -> None:
        self._back: dict[str, str] = {}
        self._of: dict[tuple[str, str], str] = {}
        self._fresh: dict[str, str] = {}
        self._log = _private(path) if path else None
        self._key = b""
        for _, line in self._log.read() if self._log else ():
            if isinstance(line.get("key"), str):
                self._key = bytes.fromhex(str(line["key"]))
            pairs = line.get("pairs")
            self._back |= {k: str(v) for k, v in pairs.items()} if isinstance(pairs, dict) else {}
        if not self._key:
            self._key = secrets.token_bytes(32)
            if self._log:
                self._log.append({"key": self._key.hex()})
        self._days = self._draw("days", 1)[0] * 9 + 200

    def of(self, text: str, found: Found) -> str:
        """Return the pseudonym of ``text[found.start:found.end]``."""
        surface = text[found.start : found.end]
        known = self._of.get((found.kind, surface))
        if known is not None:
            return known
        made = self._make(text, found, surface)
        self._of[found.kind, surface] = made
        if sum(c.isalnum() for c in made) >= LEAST_BACK and found.kind != "age":
            self._fresh[made] = self._back[made] = surface
        return made

    def keep(self) -> None:
        """Write down what is new since the last time; nothing may be sent before that."""
        if self._log and self._fresh:
            self._log.append({"pairs": dict(self._fresh)})
        self._fresh.clear()

    def restore(self, text: str) -> str:
        """Return ``text`` with every pseudonym of this run replaced by what it stands for."""
        if not self._back:
            return text
        folded: dict[str, str] = {}
        for pseudonym, value in self._back.items():
            folded.setdefault(pseudonym.casefold(), value)
        longest = max(len(_WORD.findall(k)) for k in self._back)
        out, at = [], 0
        found = list(_WORD.finditer(text))
        i = 0
        while i < len(found):
            for j in range(min(len(found), i + longest), i, -1):
                start, end = found[i].start(), found[j - 1].end()
                hit = self._hit(folded, text, start, end)
                if hit:
                    a, b, value = hit
                    out += [text[at:a], value]
                    at, i = b, j
                    break
            else:
                i += 1
        return "".join(out) + text[at:]

    def _hit(
        self, folded: dict[str, str], text: str, start: int, end: int
    ) -> tuple[int, int, str] | None:
        # Phones and ids may begin with a bracket or a plus, and end with a stop.
        for a, b in ((start, end), (start - 1, end), (start, end + 1), (start - 1, end + 1)):
            piece = text[max(a, 0) : b]
            if a >= 0 and piece in self._back:
                return a, b, self._back[piece]
            if a >= 0 and piece.casefold() in folded:
                return a, b, _cased(folded[piece.casefold()], piece)
        base, _, tail = text[start:end].rpartition("'")
        if tail == "s" and base.casefold() in folded:
            return start, end - 2, self._back.get(base, folded[base.casefold()])
        return None

    def _make(self, text: str, found: Found, surface: str) -> str:
        made = ""
        for again in range(100):
            made = self._value(text, found, surface, again)
            other = self._back.get(made)
            if found.kind == "date" or other is None or other == surface:
                return made
        return made

    def _value(self, text: str, found: Found, surface: str, again: int) -> str:
        kind: Kind = found.kind
        if kind == "date":
            return dates.shift(text, found, self._days) or self._scrambled(surface, again)
        if kind == "age":
            return "90"
        if kind == "name":
            return self._name(surface, again)
        if kind == "city":
            return self._name(surface, again)
        if kind in ("street", "hospital"):
            return self._phrase(kind, surface, again)
        if kind == "email":
            return f"{self._name(surface, again).lower()}@example.org"
        if kind == "url":
            return f"https://{self._name(surface, again).lower()}.example.org"
        return self._scrambled(surface, again)

    def _phrase(self, kind: Kind, surface: str, again: int) -> str:
        name = self._name(surface, again).capitalize()
        if kind == "street":
            number = "".join(c for c in self._scrambled(surface, again) if c.isdigit()) or "1"
            return f"{number} {name} Street" if surface[:1].isdigit() else f"{name}straße {number}"
        english = re.search(
            r"(?:Hospital|Cent(?:er|re)|Clinic|Infirmary|System|Home|Hospice)$", surface
        )
        return f"{name} Hospital" if english else f"Klinik {name}"

    def _draw(self, what: str, count: int) -> list[int]:
        drawn = b""
        block = 0
        while len(drawn) < count:
            drawn += hmac.new(self._key, f"{block}:{what}".encode(), hashlib.sha256).digest()
            block += 1
        return list(drawn[:count])

    def _name(self, surface: str, again: int) -> str:
        if len(surface) <= 2:
            return self._scrambled(surface, again)
        a, b, c, d, e, f, g = self._draw(f"name:{surface.casefold()}:{again}", 7)
        more = _CONSONANTS[f % 15] + _VOWELS[g % 5] if again >= CROWDED else ""
        made = (
            _CONSONANTS[a % 15]
            + _VOWELS[b % 5]
            + _CONSONANTS[c % 15]
            + _VOWELS[d % 5]
            + more
            + _ENDINGS[e % 12]
        )
        return _cased(made, surface)

    def _scrambled(self, surface: str, again: int) -> str:
        """Return other digits for digits and other letters for letters."""
        drawn = self._draw(f"code:{surface}:{again}", len(surface))
        out = []
        for char, number in zip(surface, drawn, strict=True):
            if char.isdigit():
                out.append(str(number % 10))
            elif char.isalpha():
                letter = chr(ord("a") + number % 26)
                out.append(letter.upper() if char.isupper() else letter)
            else:
                out.append(char)
        return "".join(out)


def _cased(value: str, like: str) -> str:
    if len(like) > 2 and like.isupper():
        return value.upper()
    return value.capitalize() if like[:1].isupper() and value.islower() else value


def _private(path: Path) -> JsonLines:
    """Return the file at ``path``, made so that nobody but its owner may read it."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as cause:
        raise store_error("open", path, cause) from cause
    return JsonLines(path)
