"""Own how a page is written: which concepts a note states, in which words and which order.

`page` draws a whole training item at a `Level`; the meaning of what it draws, and the right
answers, are in ``generate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from preceptor.nano import generate, phrases, pools, wordings
from preceptor.nano.generate import Concept, Level, Mention, Page, Question, Rule, Scheme
from preceptor.nano.sheet import Sheet
from preceptor.nano.words import Lexicon


@dataclass
class Draft:
    """One question being made: its concept, mentions, rules and how it will be asked.

    Attributes:
        concept: What is asked for.
        mode: What the question tells: hints, shots, both, a meaning, or nothing (bare).
        labels: What it may be answered with.
        named: Whether the note may use the words of the field's name.
        covered: Chance that worked sentences contain the note's own words for it.
        shared: Rules for all fields that came up with it.
        rules: Its own rules.
        mentions: What the note says of it.
    """

    concept: Concept
    mode: str
    labels: Scheme
    named: bool = True
    covered: float = 0.8
    shared: list[Rule] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)


def concept(r: Random, lex: Lexicon, level: Level) -> Concept:
    """Draw a concept: a field's name and its other forms."""
    forms = [lex.phrase(r) for _ in range(1 + r.randint(1, max(1, level.hints)))]
    return Concept(tuple(dict.fromkeys(forms)))


def _known(r: Random) -> Concept:
    """Draw a thing of the dictionary, its other names in any order and number."""
    name, *forms = r.choice(pools.concepts())
    return Concept((name, *r.sample(forms, r.randint(min(3, len(forms)), len(forms)))))


def _kind(r: Random, level: Level) -> str:
    if r.random() < level.special:
        return r.choice("HFPPMHF")
    return r.choice("AN")


def _mode(r: Random, level: Level) -> str:
    if r.random() < level.bare:
        return r.choice(("bare", "meaning"))
    return "hints"


def _surface(r: Random, draft: Draft) -> str:
    forms = draft.concept.forms
    share = 0.4 if draft.mode == "bare" else 0.15
    if len(forms) == 1 or (r.random() < share and draft.named):
        return forms[0]
    return r.choice(forms[1:])


def _plan(r: Random, lex: Lexicon, level: Level, draft: Draft, sheet: Sheet) -> None:
    """Decide what the note says of a concept; write down what needs a sentence of its own."""
    if r.random() > 0.67:
        return
    surface = _surface(r, draft)
    if draft.mode == "meaning" and len(draft.concept.forms) > 1:
        surface = draft.concept.forms[1]
    ruled = r.random() < level.rules
    if ruled and draft.mode == "hints" and r.random() < 0.4:
        _quoted(r, lex, draft, surface, sheet)
        return
    kind = _kind(r, level)
    mention = Mention(0, surface, kind)
    if ruled and r.random() < 0.35:
        sheet.say([mention])
        draft.mentions.append(mention)
        _cued(r, draft, sheet.rows[-1][0], mention)
    elif ruled and kind in "AN" and r.random() < 0.3:
        _conflict(r, draft, mention, sheet)
    else:
        _state(r, level, draft, mention, sheet, ruled)


def _conflict(r: Random, draft: Draft, mention: Mention, sheet: Sheet) -> None:
    """Affirm and negate a thing, mostly with a rule about which of the two counts."""
    pair = [mention, Mention(0, _surface(r, draft), "NA"["AN".index(mention.kind)])]
    if r.random() < 0.8:
        order = r.choice(tuple(wordings.ORDER))
        text = r.choice(wordings.ORDER[order].pick(sheet.held))
        draft.rules.append(Rule("order", "", order, text))
    for one in pair:
        sheet.say([one])
    draft.mentions.extend(pair)


def _state(r: Random, level: Level, draft: Draft, mention: Mention, sheet: Sheet, ruled: bool) -> None:
    """State a thing once, or come back to it; a plain mention is written later, with others."""
    kind = mention.kind
    if kind in "HFPM":
        if ruled or r.random() < level.rules:
            drop = r.random() < 0.5
            rule = generate.kind_rule(r, kind, draft.labels, sheet.held, drop)
            draft.rules.append(rule)
        sheet.say([mention])
    draft.mentions.append(mention)
    if not ruled and r.random() < level.again:
        _come_back(r, level, draft, sheet)


def _come_back(r: Random, level: Level, draft: Draft, sheet: Sheet) -> None:
    """Let the note speak of a thing once more, as another kind of mention."""
    before = draft.mentions[-1]
    if before.kind in "AN":
        sheet.say([before])
    kind = r.choice([k for k in "ANANHFPP" if k != before.kind])
    other = Mention(0, _surface(r, draft), kind)
    sheet.say([other])
    draft.mentions.append(other)


def _quoted(r: Random, lex: Lexicon, draft: Draft, surface: str, sheet: Sheet) -> None:
    """Write a statement that a quoted rule decides, with the rule."""
    pick = r.random()
    if pick < 0.45:
        cue = sheet.filled(r.choice(phrases.CUES))
        mention = Mention(0, surface, "A")
        sheet.cue(mention, cue)
        phrase = cue if r.random() < 0.6 else f"{cue} {surface}"
        rule = generate.quote_rule(r, phrase, draft.labels, draft.labels.label("A"))
        if r.random() < 0.25:
            rule = generate.quote_rule(r, phrase, draft.labels, draft.labels.label("N"))
    else:
        if pick < 0.7:
            surface = lex.phrase(r)
        mention = Mention(0, surface, "A")
        sheet.say([mention])
        avoid = draft.labels.label("U" if pick < 0.7 else "A")
        rule = generate.quote_rule(r, surface, draft.labels, avoid)
        if pick < 0.7 and rule.then == "drop":
            rule = Rule("quote", surface, draft.labels.label("A"), "")
            text = r.choice(wordings.QUOTE_COUNT).format(surface, L=rule.then)
            rule = replace(rule, text=text)
    draft.rules.append(rule)
    draft.mentions.append(mention)


def _cued(r: Random, draft: Draft, clause: str, mention: Mention) -> None:
    """Draw a rule about the words beside a mention, for this field or for all."""
    cue = beside(r, clause, mention.surface)
    if cue:
        rule = generate.quote_rule(r, cue, draft.labels, draft.labels.label(mention.kind))
        (draft.shared if r.random() < 0.4 else draft.rules).append(rule)


def beside(r: Random, clause: str, surface: str) -> str:
    """Return one to three words that stand right before or after a thing, or an empty text."""
    head, _, tail = clause.partition(surface)
    before, after = head.split(), tail.split()
    front = bool(before) and (not after or r.random() < 0.65)
    words = before[-r.randint(1, 3) :] if front else after[: r.randint(1, 3)]
    cue = " ".join(words).strip(" ,.:;")
    return cue if sum(c.isalpha() for c in cue) > 1 and cue in clause else ""


def _decoys(r: Random, lex: Lexicon, level: Level, drafts: list[Draft]) -> list[Mention]:
    """Draw statements about other things, some of which share a word with a hint."""
    out = []
    for _ in range(r.randint(level.distract // 3, level.distract)):
        surface = lex.phrase(r)
        if r.random() < 0.35:
            surface = lex.near(r, r.choice(r.choice(drafts).concept.forms))
        out.append(Mention(-1, surface, _kind(r, level)))
    return out


def _spread(r: Random, loose: list[Mention], sheet: Sheet) -> None:
    """Write loose mentions as sentences: lists of one kind, or one kind against the other."""
    by: dict[str, list[Mention]] = {}
    for mention in r.sample(loose, len(loose)):
        by.setdefault(mention.kind, []).append(mention)
    yes, no = by.pop("A", []), by.pop("N", [])
    while yes and no and not sheet.plain and r.random() < 0.45:
        sheet.mix(_take(r, yes), _take(r, no))
    for group in (yes, no, *by.values()):
        while group:
            sheet.say(_take(r, group))


def _take(r: Random, group: list[Mention]) -> list[Mention]:
    n = min(len(group), r.choice((1, 1, 1, 2, 3, 4)))
    taken, group[:] = group[:n], group[n:]
    return taken


def _typed(r: Random, text: str) -> str:
    """Misspell one longer word."""
    words = text.split(" ")
    i = r.randrange(len(words))
    word = words[i]
    if len(word) > 5 and word.isalpha():
        j = r.randrange(1, len(word) - 2)
        words[i] = r.choice(
            (word[:j] + word[j + 1] + word[j] + word[j + 2 :], word[:j] + word[j + 1 :], word + "s")
        )
    return " ".join(words)


def _compose(r: Random, sheet: Sheet, style: float) -> tuple[str, list[Mention]]:
    """Order the sentences, dress them as a note, and return it with its mentions in order."""
    rows = sheet.rows
    whole = r.random() < style
    if whole:
        for _ in range(r.randint(1, 3 + len(rows) // 2)):
            rows.append((sheet.filled(r.choice((*phrases.FILLERS, *pools.fillers()))), "X", []))
    r.shuffle(rows)
    mentions = []
    parts: list[str] = []
    headed = whole and r.random() < 0.5
    if headed:
        order = r.sample("ANHFPMX", 7)
        rows.sort(key=lambda row: order.index(row[1]))
    upper = whole and r.random() < 0.7
    last = ""
    for text, kind, said in rows:
        mentions.extend(said)
        shown = _typed(r, text) if whole and not said and r.random() < 0.1 else text
        shown = shown[:1].upper() + shown[1:] if upper and r.random() < 0.9 else shown
        head = ""
        if headed and kind != last and r.random() < 0.8:
            head = ("\n" if parts else "") + r.choice(phrases.SECTIONS[kind]) + " "
        last = kind
        parts.append(head + shown)
    glue = ".\n" if whole and not headed and r.random() < 0.15 else ". "
    return glue.join(parts).replace(". \n", ".\n") + ".", mentions


def worked(
    r: Random, lex: Lexicon, level: Level, draft: Draft, held: bool, n: int
) -> list[tuple[str, str]]:
    """Write ``n`` sentences with their labels for one question."""
    out: list[tuple[str, str]] = []
    forms = draft.concept.forms
    known = [m.surface for m in draft.mentions][:1] if r.random() < draft.covered else []
    for i in range(n):
        sheet = Sheet(r, lex, held)
        if r.random() < 0.15 and i:
            sheet.say([Mention(-1, lex.phrase(r), r.choice("AN"))])
            label = draft.labels.label("U")
        else:
            kind = _kind(r, replace(level, special=level.special / 2))
            surface = known.pop() if known else r.choice(forms)
            mention = Mention(0, surface, kind)
            if r.random() < 0.2 and kind in "AN":
                other = Mention(-1, lex.phrase(r), "NA"["AN".index(kind)])
                sheet.mix(*(([mention], [other]) if kind == "A" else ([other], [mention])))
            elif r.random() < 0.35:
                sheet.say(_among(r, lex, mention))
            else:
                sheet.say([mention])
            label = draft.labels.label(kind)
        text = sheet.rows[0][0]
        out.append((text[:1].upper() + text[1:] + "." if r.random() < 0.4 else text, label))
    r.shuffle(out)
    return out


def _among(r: Random, lex: Lexicon, mention: Mention) -> list[Mention]:
    """Return a mention in a list with others, as a retrieved sentence often has it."""
    others = [Mention(-1, lex.phrase(r), mention.kind) for _ in range(r.randint(1, 3))]
    return r.sample([mention, *others], len(others) + 1)


def _question(r: Random, lex: Lexicon, draft: Draft, mentions: list[Mention]) -> Question:
    asked = generate.question(r, lex, draft.concept, mentions, draft.labels)
    hints = list(asked.hints) if draft.mode in ("hints", "both") else []
    r.shuffle(hints)
    meaning = ""
    if draft.mode == "meaning":
        thing = (draft.concept.forms * 2)[1]
        meaning = r.choice(("{}", "{} in the patient", "whether there is {}", "any {}")).format(thing)
    elif r.random() < 0.2 and draft.labels.meanings:
        meaning = r.choice(("{} of any kind", "whether there is {}", "{}")).format(lex.phrase(r))
    return replace(asked, hints=tuple(hints), meaning=meaning)


def page(r: Random, lex: Lexicon, level: Level, held: bool = False, named: bool = True) -> Page:
    """Draw one note with its questions.

    Args:
        r: The source of everything random.
        lex: The words; restricted to the level here.
        level: How hard.
        held: Whether wordings come from the held-out pools.
        named: Whether a note may use the words of the field's name.
    """
    lex.level(level.words, level.long)
    shown = r.random() < level.shots
    labels = generate.scheme(r, level, lex, held)
    drafts = []
    for _ in range(1 if shown else level.asked):
        own = labels if r.random() < 0.7 else generate.scheme(r, level, lex, held)
        mode = r.choice(("shots", "shots", "both")) if shown else _mode(r, level)
        thing = concept(r, lex, level)
        if not shown and r.random() < level.known:
            thing, mode = _known(r), r.choice(("bare", "bare", "hints"))
        drafts.append(Draft(thing, mode, own, named))
    return write(r, lex, level, drafts, held)


def write(r: Random, lex: Lexicon, level: Level, drafts: list[Draft], held: bool) -> Page:
    """Write the note for drafted questions, and the questions with their answers."""
    sheet = Sheet(r, lex, held, level.plain)
    loose: list[Mention] = []
    for index, draft in enumerate(drafts):
        first = len(sheet.rows)
        _plan(r, lex, level, draft, sheet)
        draft.mentions = [replace(m, concept=index) for m in draft.mentions]
        for row in range(first, len(sheet.rows)):
            text, kind, said = sheet.rows[row]
            sheet.rows[row] = text, kind, [replace(m, concept=index) for m in said]
        if len(sheet.rows) == first:
            loose.extend(draft.mentions)
    _spread(r, loose + _decoys(r, lex, level, drafts), sheet)
    if not sheet.rows:
        sheet.say([Mention(-1, lex.phrase(r), r.choice("AN"))])
    note, mentions = _compose(r, sheet, level.style)
    general = _general(r, level, drafts, held)
    questions = []
    for index, draft in enumerate(drafts):
        said = [m for m in mentions if m.concept == index]
        asked = _question(r, lex, draft, said)
        if r.random() < level.rules:
            known = {rule.on for rule in draft.rules}
            draft.rules += generate.spare_rules(r, lex, draft.labels, known, r.randint(0, 2))
            r.shuffle(draft.rules)
        asked = _ruled(asked, said, draft, general)
        if draft.mode in ("shots", "both"):
            n = r.randint(1, r.choice((3, 4, 8)))
            asked = replace(asked, shots=tuple(worked(r, lex, level, draft, held, n)))
        questions.append(asked)
    instruction = r.choice(phrases.INSTRUCTIONS) if level.schemes >= 0 else "JSON."
    return Page(instruction, tuple(rule.text for rule in general), note, tuple(questions))


def _general(r: Random, level: Level, drafts: list[Draft], held: bool) -> list[Rule]:
    """Draw rules for all fields, none that a field's own rules speak of."""
    alike = len({draft.labels.order for draft in drafts}) == 1
    out: list[Rule] = []
    for draft in drafts:
        usable = alike or all(rule.then == "drop" for rule in draft.shared)
        (out if usable else draft.rules).extend(draft.shared)
    if r.random() < level.rules * 0.4:
        taken = {rule.on for draft in drafts for rule in draft.rules}
        kinds = [k for k in "FHPM" if k not in taken]
        r.shuffle(kinds)
        chosen = kinds[: r.randint(1, 2)]
        out += [generate.kind_rule(r, k, drafts[0].labels, held, drop=True) for k in chosen]
    return out


def _ruled(asked: Question, said: list[Mention], draft: Draft, general: list[Rule]) -> Question:
    ruled = generate.with_rules(asked, said, (*draft.rules, *general))
    return replace(ruled, rules=tuple(rule.text for rule in draft.rules))
