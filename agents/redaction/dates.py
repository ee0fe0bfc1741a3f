"""Dates: the ways in which German and English notes write them, and shifting them all alike.

Every date of a run moves by the same number of days, so that intervals stay what they are. A month
without a day moves by as many months, a bare year by as many years.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from preceptor.agents.redaction.spans import Found

MONTHS = (
    ("Januar", "Jänner", "January", "Jan"),
    ("Februar", "Feber", "February", "Feb"),
    ("März", "Maerz", "March", "Mar", "Mär"),
    ("April", "Apr"),
    ("Mai", "May"),
    ("Juni", "June", "Jun"),
    ("Juli", "July", "Jul"),
    ("August", "Aug"),
    ("September", "Sept", "Sep"),
    ("Oktober", "October", "Okt", "Oct"),
    ("November", "Nov"),
    ("Dezember", "December", "Dez", "Dec"),
)
_NUMBER = {name.casefold(): i for i, names in enumerate(MONTHS, 1) for name in names}
_GERMAN = frozenset(
    "Januar Jänner Februar Feber März Maerz Juni Juli Oktober Dezember September November August".split()
)
_NAME = "(?P<name>" + "|".join(sorted((n for ns in MONTHS for n in ns), key=len, reverse=True)) + ")"
_YEAR = r"(?:19|20)\d\d"
_UNIT = (
    r"(?!\s?(?:ml|mg|g|kg|kcal|µg|ug|ng|IE|I\.E|IU|mm|cm|Hz|m|U|E|%|/|x|mal|units|cells|steps|Euro)\b)"
)
_CUE = r"\b(?:am|vom|bis|ab|seit|den|zum|zuletzt|im|in|since|on|until|of|by)\s+"

_PATTERNS = tuple(
    re.compile(p)
    for p in (
        rf"(?<![\d-])(?P<y>{_YEAR})-(?P<m>\d{{1,2}})-(?P<d>\d{{1,2}})(?!\d)",
        rf"(?<![\d.,])(?:(?P<d0>\d{{1,2}})\.?\s?(?:[-–/]|bis|und|and|to)\s?)?(?P<d>\d{{1,2}})\.\s?(?P<m>\d{{1,2}})"
        rf"(?:\.\s?|\s)(?P<y>{_YEAR})(?!\d)",
        rf"(?<![\d.,])(?P<d>\d{{1,2}})\s(?P<m>\d{{1,2}})\.(?P<y>{_YEAR})(?!\d)",
        r"(?<![\d.,])(?:(?P<d0>\d{1,2})\.?\s?(?:[-–/]|bis|und|and|to)\s?)?(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d\d)(?![\d.,]\d|\d)",
        r"(?<![\d./])(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>(?:19|20)?\d\d)(?![\d/])",
        rf"(?<![\d.-])(?P<a>\d{{1,2}})-(?P<b>\d{{1,2}})-(?P<y>{_YEAR})(?![\d-])",
        r"(?<![\d.,])(?:(?P<d0>\d{1,2})\.\s?[-–]\s?)?(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?!\d)",
        rf"{_CUE}(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})(?![\d.,]?\d)(?!\s?(?:%|m|c|g|l|°|bis|-))",
        r"(?<![\d.,])(?P<d>\d{1,2})\.(?P<m>\d{1,2})(?=\.?\s?(?:[-–]|bis)\s?\d{1,2}\.\d{1,2}\.)",
        rf"(?<![\d./])(?:(?P<m0>\d{{1,2}})\s?[-–]\s?)?(?P<m>0?[1-9]|1[0-2])\s?/\s?(?P<y>{_YEAR})(?!\d)",
        rf"{_CUE}(?P<m>0?[1-9]|1[0-2])/(?P<y>\d\d)(?![\d/.,%])",
        r"(?<![\d./])(?P<m>0[1-9]|1[0-2])/(?P<y>\d\d)(?![\d/.,])",
        r"(?<![\d./(])(?P<m>[1-9])/(?P<y>1[3-9]|[2-9]\d)(?![\d/.,%])",
        rf"(?<![\w.])(?:(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?\s?(?:of\s)?)?{_NAME}\b\.?"
        rf"(?:\s(?P<e>\d{{1,2}})(?:st|nd|rd|th)?(?!\d|[.,:]\d))?(?:,?\s(?P<y>(?:19|20)\d\d|\d\d(?![\d.:])))?",
        rf"(?<![\d.,/+-])(?P<y>{_YEAR})(?![\d])(?![.,/]\d){_UNIT}",
    )
)


def find(text: str) -> Iterator[Found]:
    """Yield the dates of a text; their parts are day, month, year and month name."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            roles = _roles(match)
            if roles:
                start = min(a for _, a, _ in roles)
                yield Found(start, max(match.end(), start), "date", roles)


def _roles(match: re.Match[str]) -> tuple[tuple[str, int, int], ...]:
    """Return the parts of a plausible date, none if it is none."""
    got = {k: v for k, v in match.groupdict().items() if v}
    place = {k: match.span(k) for k in got}
    if "a" in got:
        # Month first, as in the United States, unless that cannot be.
        first, second = ("d", "m") if int(got["a"]) > 12 else ("m", "d")
        got |= {first: got["a"], second: got["b"]}
        place |= {first: place["a"], second: place["b"]}
    if "e" in got and "d" not in got:
        got["d"], place["d"] = got["e"], place["e"]
    if "name" in got:
        bare = not got.get("d") and not got.get("y")
        if bare and got["name"] not in _GERMAN:
            return ()
    if not 1 <= int(got.get("d", 1)) <= 31 or not 1 <= int(got.get("m", 1)) <= 12:
        return ()
    kept = ("d0", "m0", "d", "m", "y", "name")
    return tuple((k, *place[k]) for k in kept if k in got)


def shift(text: str, found: Found, days: int) -> str | None:
    """Return the date moved by ``days``, in the same form; None if it is none in the calendar."""
    at = {role: text[a:b] for role, a, b in found.parts}
    month = _NUMBER[at["name"].casefold()] if "name" in at else int(at.get("m", 0))
    year = _full(at["y"]) if "y" in at else 2000
    try:
        fresh = _moved(at, month, year, days)
    except (ValueError, OverflowError):
        return None
    if month:
        fresh["m" if "m" in at else "name"] = _month_text(fresh.pop("month"), at)
    out, last = [], found.start
    for role, a, b in sorted(found.parts, key=lambda p: p[1]):
        out += [text[last:a], _like(fresh[role], text[a:b]) if role in fresh else text[a:b]]
        last = b
    return "".join(out) + text[last : found.end]


def _moved(at: dict[str, str], month: int, year: int, days: int) -> dict[str, str]:
    if "d" in at and month:
        moved = date(year, month, int(at["d"])) + timedelta(days=days)
        fresh = {"d": str(moved.day), "month": str(moved.month), "y": str(moved.year)}
        if "d0" in at:
            fresh["d0"] = str((date(year, month, int(at["d0"])) + timedelta(days=days)).day)
        return fresh
    if month:
        total = year * 12 + month - 1 + round(days / 30.44)
        fresh = {"month": str(total % 12 + 1), "y": str(total // 12)}
        if "m0" in at:
            fresh["m0"] = str((int(at["m0"]) - 1 + round(days / 30.44)) % 12 + 1)
        return fresh
    return {"y": str(year + round(days / 365.25) or year)}


def _full(year: str) -> int:
    short = int(year)
    return short if len(year) == 4 else short + (1900 if short > 45 else 2000)


def _month_text(number: str, at: dict[str, str]) -> str:
    if "name" not in at:
        return number
    old = MONTHS[_NUMBER[at["name"].casefold()] - 1]
    english = at["name"] not in _GERMAN and old.index(at["name"]) >= 1
    names = MONTHS[int(number) - 1]
    if len(at["name"]) <= 3 and at["name"] not in ("Mai", "May"):
        return names[0][:3] if not english else next((n for n in names[::-1] if len(n) <= 4), names[-1])
    full = [n for n in names if len(n) > 3 or n in ("Mai", "May")]
    return full[-1] if english and len(full) > 1 else full[0]


def _like(fresh: str, old: str) -> str:
    """Return a number written as wide as the old one: two digits of a year, a leading zero."""
    if old.isdigit() and len(old) == 2 and len(fresh) == 4:
        return fresh[2:]
    return fresh.zfill(2) if old.isdigit() and len(old) == 2 else fresh
