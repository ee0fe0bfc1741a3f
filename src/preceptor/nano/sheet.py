"""Own the sentences of a note being written, each with what it states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from preceptor.nano import phrases, pools
from preceptor.nano.generate import Mention
from preceptor.nano.words import Lexicon

DAYS = ("monday", "tuesday", "friday", "3/14", "05/02/2024", "last spring", "May", "10/11")


@dataclass
class Sheet:
    """The sentences of a note being written, each with its section kind and its mentions."""

    r: Random
    lex: Lexicon
    held: bool
    plain: int = 0
    rows: list[tuple[str, str, list[Mention]]] = field(default_factory=list)

    def filled(self, template: str, **slots: str) -> str:
        """Return a template with subjects, numbers, dates and words filled in."""
        r = self.r
        if "{S}" in template:
            slots["S"] = r.choice(phrases.SUBJECTS).replace("{w}", self.lex.word(r).capitalize())
        while "{w}" in template:
            template = template.replace("{w}", self.lex.word(r), 1)
        numbers = {
            "n": str(r.randint(2, 40)), "g": str(r.randint(1, 3)), "y": str(r.randint(1975, 2024)),
            "a": str(r.randint(40, 150)), "b": str(r.randint(50, 99)), "d": r.choice(DAYS),
        }  # fmt: skip
        for key, value in (numbers | slots).items():
            template = template.replace("{" + key + "}", value)
        return template

    def say(self, mentions: list[Mention]) -> None:
        """Add a sentence that states mentions of one kind."""
        kind = mentions[0].kind
        pool = pools.state(kind).pick(self.held)
        template = self.r.choice(pool[: self.plain] if self.plain else pool)
        things = listed(self.r, [m.surface for m in mentions], kind)
        text = self.filled(template.replace("{}", things))
        self.rows.append((text, kind, [replace(m, clause=text) for m in mentions]))

    def mix(self, yes: list[Mention], no: list[Mention]) -> None:
        """Add a sentence that affirms some mentions and negates others."""
        template = self.r.choice(pools.mixed().pick(self.held))
        slots = {"A": listed(self.r, [m.surface for m in yes], "A")}
        slots["N"] = listed(self.r, [m.surface for m in no], "N")
        text = self.filled(template, **slots)
        # Which words stand beside which thing is not clear here: no quoted rule bears on it.
        self.rows.append((text, "A", [*yes, *no]))

    def cue(self, mention: Mention, cue: str) -> None:
        """Add a sentence that only a quoted rule can read."""
        text = f"{cue} {mention.surface}"
        subject = self.filled("{S} ") if self.r.random() < 0.5 else ""
        self.rows.append((subject + text, "A", [replace(mention, clause=subject + text)]))


def listed(r: Random, things: list[str], kind: str) -> str:
    """Join things into a list, the way notes do."""
    if len(things) == 1:
        return things[0]
    last = r.choice((" or ", " or ", ", ", " and ") if kind == "N" else (" and ", " and ", ", "))
    return ", ".join(things[:-1]) + last + things[-1]
