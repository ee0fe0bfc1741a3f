"""Own the sentence templates, rule wordings and label names of the task generator.

Every pool is a pair: what training sees, and what only the evaluation sees. ``{}`` is the place of
the thing that is stated. What is held out is wording, never tokens.
"""

from __future__ import annotations

from typing import NamedTuple


class Pool(NamedTuple):
    """Wordings for training and wordings kept for evaluation."""

    train: tuple[str, ...]
    held: tuple[str, ...]

    def pick(self, held: bool) -> tuple[str, ...]:
        """Return the held-out wordings, or those for training."""
        return self.held if held else self.train


def _pool(train: str, held: str) -> Pool:
    def lines(text: str) -> tuple[str, ...]:
        return tuple(line.strip() for line in text.strip().splitlines() if line.strip())

    return Pool(lines(train), lines(held))


KINDS = ("A", "N", "H", "F", "P", "M")
"""Affirmed, negated, history, family, planned or possible, affirmed but mild."""

STATE: dict[str, Pool] = {
    "A": _pool(
        """
        {S} reports {}
        {S} complains of {}
        {S} c/o {}
        {S} endorses {}
        {S} notes some {}
        {S} notes {}
        {S} has {}
        {S} is having {}
        {S} presents with {}
        {S} w/ {}
        {S} still has {}
        {S} developed {} last week
        {S} continues to have {}
        {S} describes {}
        {S} mentions {}
        {S} admits to {}
        {S} is bothered by {}
        {S} suffers from {}
        {S} experiences {}
        {S} struggles with {}
        {S} says that there is {}
        ongoing {}
        persistent {} since the last visit
        positive for {}
        + {}
        {} is present
        {} continues
        {} today
        {} has worsened
        {} is getting worse
        {} for {n} days
        {} x {n} weeks
        {} since {d}
        {} noted on exam
        {}: yes
        {}: present
        {} grade {g}
        main concern is {}
        troubled by {} at night
        new {} this week
        examination shows {}
        i have {}
        i've had {} since monday
        i am getting {} again
        my {} is bad
        i can't stand the {}
        there was {} after the first dose
        seen for {}
        admitted with {}
        """,
        """
        {S} came in because of {}
        {S} tells us about {}
        {S} is dealing with {} at present
        {} remains a problem
        there is {}
        {S} acknowledges {}
        increasing {} over the past {n} days
        i keep having {}
        """,
    ),
    "N": _pool(
        """
        {S} denies {}
        {S} denies any {}
        {S} denied {}
        {S} reports no {}
        {S} has no {}
        {S} does not have {}
        {S} does not report {}
        {S} did not have {}
        {S} is without {}
        {S} is free of {}
        {S} never had {}
        no {}
        no evidence of {}
        no signs of {}
        no complaints of {}
        no further {}
        no more {}
        no new {}
        not {}
        w/o {}
        without {}
        negative for {}
        - {}
        absence of {}
        {} has resolved
        {} resolved
        {} is gone
        {} denied
        {} is absent
        {}: no
        {}: none
        {}: absent
        {} negative
        {} not seen
        {} was ruled out
        {} has cleared up completely
        {} grade 0
        {S} says there is no {}
        i have no {}
        i don't have {}
        i never got {}
        my {} went away
        """,
        """
        {S} has not noticed any {}
        {S} specifically denies {}
        there is no {}
        {} could not be found
        {} no longer an issue
        {S} lacks {}
        examination reveals no {}
        i haven't had any {}
        """,
    ),
    "H": _pool(
        """
        h/o {}
        history of {}
        hx of {}
        past history of {}
        {S} had {} in {y}
        {S} had {} as a child
        previous {}
        previously had {}
        prior {} in {y}
        PMH: {}
        {} {n} years ago
        past medical history includes {}
        {S} used to have {}
        former {}
        {} in the past
        remote {}
        """,
        """
        {S} once had {}, {n} years back
        known history of {}
        earlier episode of {} in {y}
        past {}
        """,
    ),
    "F": _pool(
        """
        mother had {}
        father has {}
        mother with {}
        sister has {}
        brother had {}
        family history of {}
        FHx: {}
        family history: {} in the father
        {} runs in the family
        {} in an aunt
        maternal grandmother had {}
        his wife has {}
        her husband reports {}
        daughter has {}
        FH positive for {}
        uncle suffers from {}
        """,
        """
        grandfather was known for {}
        {} in two relatives
        a cousin has {}
        family hx: mother {}
        """,
    ),
    "P": _pool(
        """
        return if {} develops
        call if {}
        warned about {}
        may cause {}
        might develop {}
        could get {}
        at risk for {}
        risk of {} was discussed
        counselled about {}
        watch for {}
        monitor for {}
        side effects such as {} were explained
        possible {}
        ? {}
        r/o {}
        to prevent {}
        in case of {} call the clinic
        planned treatment can lead to {}
        advised that {} may occur
        if {} occurs, come back
        expect {} after week {n}
        """,
        """
        told to come back for {}
        {} is a known side effect and was explained
        should {} appear, contact us
        potential for {} was reviewed
        """,
    ),
    "M": _pool(
        """
        mild {}
        {S} has mild {}
        slight {}
        {S} reports slight {}
        minimal {}
        {S} notes a little {}
        """,
        """
        {S} has very mild {}
        some slight {} only
        """,
    ),
}

MIXED = _pool(
    """
    {S} denies {N} but reports {A}
    {S} denies {N} but has {A}
    {S} reports {A} but denies {N}
    {S} has {A} but no {N}
    no {N}, but {A} is present
    {A} without {N}
    {S} c/o {A}, denies {N}
    {S} has {A} and no {N}
    {N} has resolved but {A} persists
    {S} no longer has {N} but still has {A}
    negative for {N}, positive for {A}
    {A}; no {N}
    """,
    """
    although {S} denies {N}, there is {A}
    {A} is reported while {N} is denied
    """,
)

SUBJECTS = ("pt", "patient", "the patient", "he", "she", "pt.", "Mr. {w}", "Mrs. {w}", "this man")

FILLERS: tuple[str, ...] = (
    "vitals: BP {a}/{b}, HR {b}, temp 98.{g}", "weight {b} kg", "weight is stable at {b} kg",
    "s/p RT {b} Gy in {n} fx", "continue {w} {a} mg daily", "takes {w} {n} mg bid",
    "f/u in {n} weeks", "RTC in {n} months", "seen with {w} today", "labs reviewed",
    "tolerating treatment well", "lives with {w}", "ECOG {g}", "{a} y/o seen in clinic",
    "no changes to the plan", "will see {w} next week", "discussed with Dr. {w}",
    "completed cycle {g} on {d}", "imaging from {d} reviewed", "eating {w} and {w}",
    "works as a {w}", "hgb {n}.{g}", "refills sent to {w}", "all questions answered",
    "here for follow up of {w}", "the {w} was changed on {d}", "{w} ordered", "{w} and {w} as before",
)  # fmt: skip

SECTIONS: dict[str, tuple[str, ...]] = {
    "A": ("Subjective:", "HPI:", "Interval history:", "S:", "Complaints:"),
    "N": ("ROS:", "Review of systems:", "HPI:", "Exam:"),
    "H": ("PMH:", "Past history:"), "F": ("FHx:", "Family history:"),
    "P": ("Plan:", "Counselling:", "Assessment and plan:"), "M": ("HPI:", "Subjective:"),
    "X": ("Plan:", "Vitals:", "Assessment:", "Social:", "Course:"),
}  # fmt: skip

DROP: dict[str, Pool] = {
    "F": _pool(
        """
        family history does not count
        relatives do not count
        what a family member has does not count
        ignore family history
        only the patient counts, not the family
        """,
        """
        family members do not count
        do not count family history
        """,
    ),
    "H": _pool(
        """
        history does not count
        past history does not count
        past episodes do not count
        previous episodes do not count
        ignore past history
        only current problems count
        """,
        """
        earlier episodes do not count
        do not count past history
        """,
    ),
    "P": _pool(
        """
        planned or possible does not count
        possible or planned does not count
        warnings do not count
        warnings and advice do not count
        ignore what may happen
        hypothetical mentions do not count
        """,
        """
        what is only possible does not count
        do not count warnings
        """,
    ),
    "M": _pool(
        """
        mild does not count
        mild or slight does not count
        ignore mild complaints
        """,
        """
        slight or mild does not count
        """,
    ),
}

COUNT: dict[str, Pool] = {
    "F": _pool(
        """
        family history counts as {L}
        family history counts
        relatives count as {L}
        a family member with it counts as {L}
        """,
        """
        family members count as {L}
        count family history as {L}
        """,
    ),
    "H": _pool(
        """
        history counts as {L}
        past history counts as {L}
        past episodes count as {L}
        previous episodes count as {L}
        """,
        """
        earlier episodes count as {L}
        count past history as {L}
        """,
    ),
    "P": _pool(
        """
        planned or possible counts as {L}
        possible counts as {L}
        warnings count as {L}
        warnings and advice count as {L}
        """,
        """
        what is only possible counts as {L}
        count warnings as {L}
        """,
    ),
    "M": _pool(
        """
        mild counts as {L}
        mild counts
        mild or slight counts as {L}
        """,
        """
        slight or mild counts as {L}
        """,
    ),
}

ORDER = {
    "later": _pool(
        """
        if statements conflict, the later one counts
        the later statement counts
        the last statement wins
        """,
        """
        when statements conflict, the last one counts
        """,
    ),
    "first": _pool(
        """
        if statements conflict, the first one counts
        the first statement counts
        the earlier statement wins
        """,
        """
        when statements conflict, the first one counts
        """,
    ),
}

QUOTE_DROP = ('"{}" does not count', '"{}" does not count', '"{}" does not count', 'ignore "{}"')
QUOTE_COUNT = ('"{}" counts as {L}', '"{}" counts as {L}', '"{}" counts as {L}', '"{}" means {L}')
CUES = (
    "{w} about", "{w} by", "has {w} with", "is {w} for", "{w} of the", "got {w} from", "{w} no",
    "hardly any", "barely any", "no longer bothered by", "less and less", "comes and goes:",
    "{w} {w}", "{w}", "some days", "{w} and", "almost no", "touch of", "a bit of", "occasional",
)  # fmt: skip

INSTRUCTIONS: tuple[str, ...] = (
    "Read the note and fill in the field. Answer in JSON.",
    "Read the note and fill in the field. Answer in JSON.",
    "Read the note and answer for the field in JSON.",
    "Fill in the field from the note. Reply with JSON only.",
    "Extract the field from the note. Answer in JSON.",
    "You read clinical notes. Fill in the field asked for, as JSON.",
    "Extract structured data. Answer in JSON.",
)

BINARY: tuple[tuple[str, str], ...] = (
    ("yes", "no"), ("true", "false"), ("present", "absent"), ("positive", "negative"),
    ("mentioned", "none"), ("stated", "unstated"), ("present", "none"), ("noted", "missing"),
    ("active", "excluded"), ("observed", "not observed"), ("reported", "not reported"),
    ("pos", "neg"), ("1", "0"),
)  # fmt: skip
BINARY_HELD = (("found", "not found"), ("has", "lacks"), ("confirmed", "unconfirmed"))
THREE: tuple[tuple[str, str, str], ...] = (
    ("present", "absent", "unknown"), ("present", "absent", "unknown"), ("yes", "no", "unknown"),
    ("yes", "no", "not mentioned"), ("positive", "negative", "missing"), ("pos", "neg", "unk"),
    ("affirmed", "denied", "unmentioned"), ("true", "false", "unclear"),
    ("present", "absent", "not mentioned"), ("confirmed", "excluded", "undetermined"),
    ("active", "ruled out", "not stated"), ("stated", "denied", "missing"),
    ("reported", "denied", "not documented"), ("current", "none", "unknown"),
    ("yes", "never", "unclear"), ("observed", "negative", "uncertain"),
)  # fmt: skip
THREE_HELD = (
    ("found", "lacks", "no information"), ("has", "has not", "unmentioned"),
    ("mentioned", "resolved", "missing"), ("true", "negative", "not documented"),
)  # fmt: skip
EXTRA: tuple[tuple[str, str], ...] = (
    ("H", "past"), ("H", "former"), ("H", "history"), ("P", "possible"), ("P", "planned"),
    ("P", "hypothetical"), ("F", "family"), ("M", "mild"),
)  # fmt: skip

MEANING: dict[str, Pool] = {
    "A": _pool(
        """
        stated
        reported
        affirmed
        the patient has it
        the note says so
        stated as present
        mentioned as present
        reported as present
        has it
        """,
        """
        the note states it
        affirmed in the note
        """,
    ),
    "N": _pool(
        """
        denied
        stated as absent
        negated
        the patient does not have it
        the note denies it
        denied or resolved
        does not have it
        """,
        """
        the note says no
        reported as absent
        """,
    ),
    "U": _pool(
        """
        not mentioned
        not stated
        the note does not say
        no information
        not in the note
        nothing said
        """,
        """
        not mentioned in the note
        nothing stated
        """,
    ),
    "NU": _pool(
        """
        denied or not mentioned
        not stated
        not present
        everything else
        otherwise
        absent or not mentioned
        """,
        """
        anything else
        not mentioned or denied
        """,
    ),
    "H": _pool("earlier, not now\nonly in the past\nhistory of it", "in the past"),
    "P": _pool("may happen\nplanned or possible\npossible, not certain", "only possible"),
    "F": _pool("in the family\na relative has it", "in a relative"),
    "M": _pool("mild\nslight or mild", "slight"),
}

NOW = _pool(
    """
    has it now
    present now
    currently present
    the patient has it today
    there at this visit
    """,
    """
    present at the moment
    the patient has it now
    """,
)
"""What «affirmed» means where history does not count."""
