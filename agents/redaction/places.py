"""Contacts, numbers, addresses, institutions and great ages, by their form and the words before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from preceptor.agents.redaction.spans import Found, Kind, matches, words

_UP = r"[A-ZÄÖÜ]"
_WORD = r"[A-ZÄÖÜ][\w'’.-]*"

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,6}")
_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"')\]]{3,200}")

_PHONE_CUE = re.compile(
    r"(?i:\b(?:tel(?:efon(?:nummer)?|ephone)?|fon|fax|mobil(?:e|telefon)?|handy|cell|phone|pager|durchwahl|dw|"
    r"ruf(?:nummer)?|call(?:\s+back)?(?:\s+at)?|erreichbar|unter(?:\s+der\s+nummer)?|hotline|info|beeper))"
    r"[\s.:#()-]{0,4}(?:(?:no|nr|number|nummer)[\s.:]{0,3})?"
    r"(?P<x>\+?\(?\d[\d\s()/.–-]{4,28}\d(?:\s?(?:-DW|o\.|oder|or|ext\.?|x)\s?\d{1,6})?)"
)
_PHONE = re.compile(
    r"(?<![\w/.+-])(?:\+\d{1,3}[\s(/-][\d\s()/–-]{5,24}\d|\(?0\d{2,5}\)?\s?[/–-]\s?\d{2,5}(?:[\s–-]\d{1,8}){0,3}|"
    r"\(0\d{2,5}\)\s?\d{2,5}(?:[\s–-]{1,3}\d{1,8}){0,3}|0\d{2,4}(?:[ -]\d{2,8}){1,3}|"
    r"(?:\(\d{3}\)\s?|\d{3}[-.])\d{3}[-.]\d{4})(?![\d/])"
    r"|(?<![\w/.])\+\d{1,3}\(0\)\d{2,5}[\s/–-]\d[\d\s–-]{4,14}\d"
)

_ID_CUE = re.compile(
    r"(?:\b(?:[Ff]all(?:nummer|zahl|[-\s]?(?:Nr|nr|ID|No))?|FN|PIZ|[Pp]at(?:ient(?:en)?)?\.?[-\s]?(?:ID|Id|[Nn]r|[Nn]ummer|No)|"
    r"SV(?:NR)?(?:[-\s]?Nr)?|[Vv]ers(?:icherten|icherungs)?\.?-?(?:[Nn]ummer|[Nn]r)|KV-?Nr|H-?Nr|"
    r"[Hh]istologie-?(?:[Nn]r|[Nn]ummer)|[Jj]ournal-?(?:[Nn]r|[Nn]ummer)|[Aa]uftrags?-?(?:[Nn]r|[Nn]ummer)|[Aa]kte(?:nzeichen)?|Az|"
    r"MRN|[Mm]edical\s[Rr]ecord(?:\s[Nn](?:o|umber))?|SSN|NHS(?:\s[Nn](?:o|umber))?|[Aa]cc(?:oun|t|ession)?t?(?:\s(?:[Nn]o|[Nn]umber|#))?|"
    r"[Cc]ase(?:\s(?:[Nn]o|[Nn]umber|#))|[Ee]ncounter|[Cc]hart|[Pp]olicy|[Mm]ember|[Ii]nsurance|[Ss]pecimen|[Ll]icense|NPI|DEA|ID))"
    r"(?:\s?(?:[Nn]o|[Nn]r|[Nn]umber|ID|#))?\.?\s{0,2}[:#=.]?\s{0,3}(?P<x>(?=[A-Za-z]{0,4}[-/ ]?\d)[A-Za-z]{0,4}[-/]?\d[\dA-Za-z/.-]{2,20})"
)
_ID = re.compile(r"(?<![\w.,/+-])(?:\d{3}-\d{2}-\d{4}|[A-Z]{1,3}-?\d{6,14}|\d{7,14})(?![\w/-]|[.,]\d)")
_SLASHED = re.compile(r"(?<![\w.,/+-])\d{4,7}[a-z]?/(?:19|20)?\d\d(?![\w/]|[.,]\d)")
_WARD = re.compile(
    r"\b(?:[Ss]tation|[Ii]ntensivstation|[Ww]ard|[Uu]nit|[Rr]oom|Zi(?:mmer)?\.?|[Ss]aal|[Bb]ed)\s?:?\s"
    r"(?P<x>(?:[A-Z]{1,5}[- ]?)?\d{1,4}[A-Za-z]?(?![\w.,/]\d)|[A-Z]{1,4}-?\d{1,3})\b"
)

_STREET_END = (
    r"(?:[Ss]tra(?:ß|ss)e|[Ss]tr(?:ß|s)?e?\.|[Ss]tr\.|[Ss]trße|[Gg]asse|[Pp]latz|[Aa]llee|[Ww]eg|[Rr]ing|[Uu]fer|[Dd]amm|"
    r"[Cc]haussee|[Mm]arkt|[Hh]of|[Pp]romenade|[Kk]amp|[Ss]teig|[Zz]eile|[Gg]raben)"
)
_NUMBER = r"\s?\d{1,4}(?:\s?[a-z]\b)?(?:\s?[-–/]\s?\d{1,4})?"
# Where a street's name ends; what stands before it is read backwards, word by word: a pattern that
# starts at every capital would try each way to cut what stands between hyphens.
_STREET_TAIL = re.compile(rf"{_STREET_END}{_NUMBER}(?!\w|[.,]\d)")
_STREET_HEAD = re.compile(rf"(?:[\w.-]{{0,60}}{_UP}(?!\w))?(?: [\w.-]{{1,30}}{_UP}(?!\w)){{0,3}}")
_HEAD_CHARS = 160
_STREETS = (
    # A line of its own, or after "wohnhaft", before a line or comma with the postal code.
    re.compile(
        rf"(?m)(?:^|,|\b[Ww]ohnhaft(?: in)?:?|\bwh\.:?)[ \t]*+(?P<x>{_UP}[\w.-]{{2,60}}(?: [\w.-]{{1,60}}){{0,3}}{_NUMBER}|"
        rf"(?:Am|Im|An der|Auf der|Zum|Zur|In der) {_UP}[\w-]{{2,30}}(?:{_NUMBER})?|{_UP}[\w.-]{{2,30}}{_STREET_END})"
        r"[^\S\n]*+[,\n]\s*+(?=(?:[ADCH]{1,2}-\d{4,5}|\d{5}|(?!19|20)\d{4})[ \t]+[A-ZÄÖÜ])"
    ),
    re.compile(
        rf"(?<![\w.])\d{{1,5}}\s(?:[NSEW]\.?\s)?(?:{_UP}[\w'.-]{{1,24}}\s){{1,3}}(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|"
        r"Boulevard|Blvd\.?|Lane|Ln\.?|Drive|Dr\.|Court|Ct\.?|Way|Terrace|Place|Pl\.?|Circle|Parkway|Square|Close|Crescent)"
        r"(?!\w)(?:,?\s(?:Apt|Suite|Unit|#)\.?\s?\w{1,5})?"
    ),
)
_CITY_NAME = (
    rf"(?:(?:Bad|St\.|Sankt|Klein|Groß|Alt|Neu|Ober|Unter|Markt|Stadt)[ -])?{_UP}[a-zäöüß]{{2,30}}(?:-{_UP}[a-zäöüß]+)?"
    rf"(?: (?:am|an der|im|in der|ob der|bei|unter) (?:{_UP}[a-zäöüß]+))?"
)
_ZIP_CITY = re.compile(
    rf"(?<![\w.,/+-])(?P<zip>(?:[ADCH]{{1,2}}-)?(?:\d{{5}}|(?!19|20)\d{{4}})|[ADCH]{{1,2}}-\d{{4}})(?:[ \t]|-|,[ \t])(?P<city>{_CITY_NAME}(?: \([A-Z]{{2}}\))?)"
)
_US_PLACE = re.compile(
    rf"(?P<city>{_UP}[a-z]{{2,20}}(?:\s{_UP}[a-z]{{2,20}}){{0,2}}),\s(?P<state>[A-Z]{{2}})\s(?P<zip>\d{{5}}(?:-\d{{4}})?)(?!\d)"
)
_UK_ZIP = re.compile(r"\b[A-Z]{1,2}\d{1,2}[A-Z]?\s\d[A-Z]{2}\b")
_HEAD_CITY = re.compile(rf"(?m)^[ \t]*(?P<x>{_CITY_NAME}),\s?(?:am|den|dem)?\s?(?=\d{{1,2}}\.)")
_HOME_CITY = re.compile(
    rf"(?:\b[Ww]ohnhaft in|\bwh\. in|\b[Ll]ebt in|\bstammt aus|\b[Ll]ives in|\b[Bb]orn in|\b[Rr]esides in|"
    rf"\b[Ff]rom|\bgeb(?:oren)?\.? in|\bwohnt in)\s(?P<x>{_CITY_NAME})"
)

_HOSPITAL_WORD = (
    r"(?:Universit(?:äts|ätss)[Kk]lini(?:k|kum)|Klini(?:k|kum|ken)|Krankenhaus|Krankenanstalt(?:en)?(?:verbund)?|Spital|KH|LKH|ÖHK|"
    r"UKE|Uniklini(?:k|kum)|Landeskrankenhaus|Kreiskrankenhaus|Diakonissen(?:krankenhaus)?|Bezirkskrankenhaus|Lazarett|Hospiz|"
    r"Rehabilitations(?:krankenhaus|klinik|zentrum)|Reha[ -]Zentrum|Fachklinik|UNI(?:VERSITÄTS)?KLINI(?:K|KUM)|KLINI(?:K|KUM)|KRANKENHAUS)"
)
_NAMEISH = rf"(?:{_UP}[\w'’.-]*)"
_LINK = r"(?:der|des|zu[mr]?|vom|von|am|im|an|barmherzigen|of|für)"
_TYPES = "Innere|Klinische|Allgemeine"
_HOSPITALS = (
    re.compile(
        rf"(?<!\w)(?:(?:Städt|Ev|Kath)\.\s)?(?:{_UP}[\w.]{{1,25}}[- ])?(?:{_UP}[\w.]{{1,25}}-)?{_HOSPITAL_WORD}"
        rf"(?:\s{_LINK}){{0,2}}(?:[ -](?!{_TYPES}|[Ff]ür|und\b){_NAMEISH}){{1,3}}(?:\s(?:am|im|in|an der)\s{_UP}\w+)?"
    ),
    re.compile(
        rf"(?<!\w){_UP}[\w.]{{1,25}}(?:-{_UP}[\w.]{{1,25}}){{0,3}}-(?:Klini(?:k|kum)|KLINIK|Spital|Krankenhaus|Hospital)\b"
    ),
    re.compile(rf"\bPraxis\s(?:Dr\.\s?)?(?:med\.\s?)?{_UP}[\w-]{{2,30}}"),
    re.compile(rf"\b(?:Universität|University of)\s(?!Klinik){_UP}[\w-]{{2,30}}"),
    re.compile(
        rf"\b(?:(?:St|Mt)\.?\s)?(?:{_UP}[\w'’.-]{{1,24}}\s(?:of\s)?){{1,4}}"
        r"(?:Hospital|Medical Center|Medical Centre|Clinic|Infirmary|Health System|Health Center|Cancer Center|Nursing Home|Hospice)\b"
    ),
)
_GREAT_AGE = re.compile(
    r"(?<![\d.,/])(?P<x>9\d|1[01]\d)(?=\s?-?\s?(?:j\.|jähr|jahr|Jahre\b|years?[\s-]old|year-old|y/?o\b|yo\b|yr))"
    r"|\b(?:aged?|Alter(?: von)?|mit|im Alter von|died at|died aged|passed away at|verstorben mit)\s(?P<y>9\d|1[01]\d)\b(?!\s?(?:%|mg|ml|/|[.,]\d))"
)

_ONE: tuple[tuple[re.Pattern[str], Kind, str | int], ...] = (
    (_EMAIL, "email", 0),
    (_URL, "url", 0),
    (_PHONE_CUE, "phone", "x"),
    (_PHONE, "phone", 0),
    (_ID_CUE, "id", "x"),
    (_ID, "id", 0),
    (_SLASHED, "id", 0),
    (_WARD, "ward", "x"),
    (_STREETS[0], "street", "x"),
    (_STREETS[1], "street", 0),
    (_ZIP_CITY, "zip", "zip"),
    (_ZIP_CITY, "city", "city"),
    (_US_PLACE, "city", "city"),
    (_US_PLACE, "zip", "zip"),
    (_UK_ZIP, "zip", 0),
    (_HEAD_CITY, "city", "x"),
    (_HOME_CITY, "city", "x"),
    *((pattern, "hospital", 0) for pattern in _HOSPITALS),
    (_GREAT_AGE, "age", "x"),
    (_GREAT_AGE, "age", "y"),
)


@cache
def _cities() -> re.Pattern[str]:
    names = sorted(words("cities"), key=len, reverse=True)
    return re.compile(
        r"(?<![\w-])(?:" + "|".join(map(re.escape, names)) + r")(?:-[A-ZÄÖÜ]\w+)?(?![\w-])"
    )


def find(text: str) -> Iterator[Found]:
    """Yield everything but names and dates."""
    for pattern, kind, group in _ONE:
        for match in matches(pattern, text, kind, group):
            if kind != "hospital" or any(c.isalpha() for c in text[match.start : match.end]):
                yield match
    yield from matches(_cities(), text, "city")
    yield from _streets(text)


def _streets(text: str) -> Iterator[Found]:
    """Yield streets by the end of their name: "Lange Reihe Straße 14", "Karl-Anton-Gasse 3/2"."""
    last = 0
    for tail in _STREET_TAIL.finditer(text):
        at = tail.start()
        before = text[max(last, at - _HEAD_CHARS) : at][::-1]
        head = _STREET_HEAD.match(before)
        size = head.end() if head else 0
        named = bool(head and head.group()[:1] not in ("", " "))
        if not named and (before[:1] == "_" or before[:1].isalnum()):
            continue  # the end of a word that does not begin with a capital
        last = tail.end()
        yield Found(at - size, last, "street")
