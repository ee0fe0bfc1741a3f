"""Names of persons: after titles, forms of address, labels and relations, and by known first names.

A name that was found once is a name wherever it stands, in this text and in every other: notes go out
cut to sentences, where the words that gave a name away are gone. Names of diseases stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from preceptor.agents.redaction.spans import Found, words

_UP = "[A-ZÀ-ÖØ-ÞŁŠŽČĆŚŻĐİ]"
_NAME = rf"(?:(?:(?:O|D|L)['’]|Mc|Mac)?{_UP}(?:[a-zß-öø-ÿā-žșț'’]{{1,40}}|[A-ZÀ-ÖØ-Þ]{{1,40}})(?:-{_UP}[\w'’]{{1,40}}){{0,3}})"
_INITIAL = rf"(?:{_UP}\.)"
_LINK = r"(?:von der|van der|van den|von|van|zu|de la|de|dos|da|del|di|bin|al|El|La)"
_ONE = rf"(?:{_INITIAL}|{_NAME})"
# No line break inside of a name: the next line is something else.
_WHOLE = rf"(?P<name>{_ONE}(?:,?[ \t]{{1,3}}(?:{_LINK}[ \t])?{_ONE}){{0,3}})"
_TITLE = (
    r"(?:(?:Univ\.?-?\s?|o\.\s?|[Aa]o\.?\s?|Ass\.?\s?|Prim\.?\s?|OA\s|OÄ\s|Priv\.?-?\s?)?"
    r"(?:Prof\.?|PROF\.?|Dr[sa]?\.?|Drª|DR\.?|DDr\.?|PD|Doz\.?|Priv\.?-?\s?Doz\.?|Dipl\.?-?\s?\w+\.?|Mag\.?)"
    r"(?:[ \t]{0,2}(?:Dr\.?|DDr\.?|[Mm]ed\.?|MED\.?|[Uu]niv(?:ers?)?\.?|habil\.?|rer\.?|nat\.?|dent\.?|h\.c\.|FRCS|a)){0,5})"
)
_SIR = r"(?:Herrn?|Frau|Fr\.|Hr\.|Hrn\.|Familie|Schw(?:ester|\.)|Pfleger|Mrs?\.?|Ms\.?|Miss|Mister|Sir|Nurse|Sister)"
_KIN = (
    r"(?:Sohn|Tochter|Ehemann|Ehefrau|Mutter|Vater|Bruder|Schwester|Lebensgefährt(?:e|in)|Partner(?:in)?|Nachbar(?:in)?|Betreuer(?:in)?|"
    r"son|daughter|wife|husband|mother|father|brother|sister|partner|niece|nephew|neighbou?r|friend|aunt|uncle|caregiver|cousin|"
    r"grandson|granddaughter)"
)
_ROLE = (
    r"(?:(?:[Cc]hef|[Oo]ber|[Ss]tations?|[Aa]ssistenz|[Ff]ach|[Hh]aus|[Tt]urnus)[aä]rzt(?:in)?\b|OA\b|OÄ\b|FA\b|FÄ\b|CHEFARZT|dikt\.|gez\.|Vidiert|"
    r"[Pp]atient(?:in|en)?\b|Pat\.|Name\b|Vorname\b|Nachname\b|Betr(?:ifft|eff)?\b\.?|PATIENT(?:IN)?\b|"
    r"[Kk]olleg(?:e|in)n?\b|KOLLEGE|[Aa]ttending\b|[Rr]esident\b|[Pp]hysician\b|[Ss]urgeon\b|[Pp]rovider\b|[Ss]igned(?: by)?\b|[Dd]ictated by\b|"
    r"[Rr]eviewed by\b|[Rr]eferred by\b|[Ss]een by\b|PCP\b|[Cc]ontact\b|[Cc]c\b|CC\b|[Dd]ear\b|R[eE](?=:)|DGK[SP]\b|i\.\s?[AV]\.|cand\.\s?med\.|PJ\b|[Aa]ssistenz:|[Oo]perateur(?:in)?\b|[Uu]nterschrift\b|[Oo]rthoptistin\b|[Ff]reigegeben von(?: OT)?|[Nn]ext of kin\b)"
)
_GAP = r"[ \t]{0,4}"

_CUED = tuple(
    re.compile(p)
    for p in (
        rf"(?<!\w){_TITLE}{_GAP}(?:\n{_GAP})?{_WHOLE}(?:{_GAP}(?:und|u\.|and|,|&){_GAP}(?:{_TITLE}{_GAP})?(?P<other>{_NAME}(?= |\)|,|\.|\n)))?",
        rf"(?<!\w){_SIR}(?:{_GAP}\n)?{_GAP}(?:{_TITLE}{_GAP})?(?:Kolleg(?:en|in|e){_GAP})?{_WHOLE}",
        rf"(?<!\w){_KIN}{_GAP}[,:(]?{_GAP}(?P<name>{_NAME}(?:[ \t](?:{_LINK}[ \t])?{_ONE}){{0,3}})",
        rf"(?<!\w){_ROLE}{_GAP}[:.]?{_GAP}(?:\n[ \t]*)?(?:{_SIR}{_GAP})?(?:{_TITLE}{_GAP})?{_WHOLE}",
        # "Albers, Beate, geb. …", "Beate Albers (* …": a name before a date of birth.
        rf"(?m)(?P<name>{_ONE},?(?:[ \t](?:{_LINK}[ \t])?{_ONE}){{1,3}})[ \t]*,?[ \t]*[(]?[ \t]*"
        r"(?:geb(?:oren)?\b\.?|\*|[Gg]eburtsdatum|geb\.|born|DOB|d\.o\.b\.|(?<=, )\d{1,2}[./]\d{1,2}[./]\d{2,4}|(?<=,  )\d{1,2}[./]\d)",
        # A letter's last line.
        rf"(?:Grü(?:ß|ss)en?|[Rr]egards|[Ss]incerely|[Hh]ochachtungsvoll)[ \t]*,?\s{{1,12}}(?:{_TITLE}{_GAP})?{_WHOLE}",
        # "… is a 72-year-old".
        rf"(?P<name>{_NAME}(?:[ \t](?:{_LINK}[ \t])?{_ONE}){{1,3}})[ \t](?:is|was|ist|war)[ \t](?:an?|ein|eine|der|die)[ \t]\d",
        # Degrees after a name.
        rf"(?P<name>{_NAME}(?:[ \t]{_ONE}){{1,3}}),?[ \t](?:MD|M\.D\.|MBA|Dr\.(?=\s*(?:\n|$))|DO|RN|NP|PA-C|PhD|Ph\.D\.|MSc|MBBS|FRCS|LVN)\b",
    )
)
_PAIR = re.compile(
    rf"(?<![\w-])(?P<first>{_NAME})(?P<rest>(?:[ \t]{_INITIAL})?[ \t](?:{_LINK}[ \t])?{_NAME})(?![\w])"
)
_REVERSED = re.compile(rf"(?<![\w-])(?P<last>{_NAME}),[ \t](?P<first>{_NAME})(?!\w)")
_SIGNED = re.compile(
    rf"(?m)^[ \t]*(?P<name>{_ONE}(?:[ \t]+(?:{_LINK}[ \t])?{_ONE}){{1,3}})[ \t]*\n?[ \t]*[(]?"
    r"(?:(?:Leitende|Ltd\.|[A-ZÄÖÜ][\w.]+)[ \t])?"
    r"(?:[Cc]hef|[Oo]ber|[Ss]tations?|[Aa]ssistenz|[Ff]ach|[Aa]ssistenz)(?:-?[Ää]rzt|-?[Aa]rzt)"
)
_TOKEN = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*\.?")
_DISEASE_BEFORE = re.compile(r"(?:Morbus|M\.|Mb\.|Syndrom|nach|Typ|Sign of|Gleason|type)[ \t]?$")
_DISEASE_AFTER = re.compile(
    r"^(?:['’]s)?[- ]?(?:[Kk]rankheit|[Ss]yndrom|[Dd]isease|[Dd]emenz|[Dd]ementia|[Ss]ign|[Zz]eichen|[Pp]hänomen|[Ss]core|[Ss]kala|[Ss]cale|"
    r"[Kk]lassifikation|[Tt]est|[Tt]ubus|[Kk]atheter|[Dd]rain|[Ll]avage|[Dd]iät|[Ff]raktur|[Tt]umor|[Ll]ymphom|[Ll]ymphoma|Naht|Index|Stadium|stage|grade)"
)


def _is_name(word: str) -> bool:
    bare = word.rstrip(".").removesuffix("'s").removesuffix("’s")
    known = words("never_names")
    if bare.isupper() and len(bare) <= 3:
        return False
    return len(bare) > 1 and bare not in known and bare.capitalize() not in known


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the run of name words from ``start`` on; it ends at the first word that is none."""
    begun = False
    for match in _TOKEN.finditer(text, start, end):
        word = match.group()
        initial = len(word) == 2 and word[1] == "."
        if initial or _is_name(word):
            begun = True
            yield match.start(), match.end() - (word.endswith(".") and not initial)
        elif word[0].isupper() or not re.fullmatch(_LINK, word):
            if begun:
                return


def cued(text: str) -> Iterator[Found]:
    """Yield the words of names that something in the text gives away."""
    for pattern in (*_CUED, _SIGNED):
        for match in pattern.finditer(text):
            for group in ("name", "other"):
                if group in match.re.groupindex and match.group(group):
                    yield from (Found(a, b, "name") for a, b in _pieces(text, *match.span(group)))
    first = words("first_names")
    for pattern in (_PAIR, _REVERSED):
        for match in pattern.finditer(text):
            given = match.group("first")
            if given.capitalize() in first or given.split("-")[0].capitalize() in first:
                yield from (Found(a, b, "name") for a, b in _pieces(text, *match.span()))


class KnownNames:
    """Words that were found as names so far, in whatever text."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def learn(self, text: str) -> None:
        """Remember the names that something in ``text`` gives away."""
        self.remember(text, cued(text))

    def remember(self, text: str, found_names: Iterable[Found]) -> None:
        """Remember the names that were found in ``text``."""
        for found in found_names:
            word = text[found.start : found.end].rstrip(".")
            if len(word) > 2:
                self._words.add(_key(word))

    def find(self, text: str) -> Iterator[Found]:
        """Yield every capitalised word of ``text`` that is a known name, but for names of diseases."""
        for match in _TOKEN.finditer(text):
            word = match.group().rstrip(".")
            if word[0].isupper() and self._knows(word):
                before = text[max(0, match.start() - 12) : match.start()]
                end = match.start() + len(word)
                if not _DISEASE_BEFORE.search(before) and not _DISEASE_AFTER.match(
                    text[end : end + 16]
                ):
                    yield Found(match.start(), end - len(word) + len(_stem(word)), "name")

    def _knows(self, word: str) -> bool:
        return (
            _key(word) in self._words
            or (_stem(word) != word and _stem(word)[-1:] != "" and _key(_stem(word)) in self._words)
            or (word.endswith("s") and len(word) > 4 and word[:-1].casefold() in self._words)
        )


def _stem(word: str) -> str:
    return word[:-2] if word[-2:] in ("'s", "’s") else word


def _key(word: str) -> str:
    return _stem(word).casefold()
