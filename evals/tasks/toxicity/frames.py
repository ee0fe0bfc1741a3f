"""The sentences of the synthetic notes: frames with slots, and what each slot says of the patient.

A slot is one letter: what the sentence says of the symptoms that stand there. A capital takes a list
of symptoms, a small letter exactly one.

    A  there now          N  denied                 R  resolved or stopped
    H  before treatment   F  in somebody else       C  hypothetical: counselling, «call if»
    P  planned, not yet asked

A and N and R speak of the patient now; the others say nothing about it. The last statement in a note
about the patient now settles the label. ``{S}`` is the patient, ``{k}`` 2 to 5, ``{m}`` 6 to 9,
``{mo}`` a month, ``{y}`` a year, ``{rel}`` a relative, ``{care}`` what is done about the symptom.
Frames stand in falling order of use.
"""

from __future__ import annotations

NOW = {"A": "present", "N": "absent", "R": "absent"}
"""The label that a slot gives; any other slot gives none."""

WHY = {
    "A": "stated to be there now",
    "N": "denied",
    "R": "was there, has resolved",
    "H": "before treatment only",
    "F": "somebody else's",
    "C": "hypothetical or counselling",
    "P": "planned, not yet assessed",
}


def is_slot(name: str) -> bool:
    """Whether ``{name}`` stands for symptoms (``{S}`` is the patient)."""
    return name.upper() in WHY


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


FRAMES: dict[str, tuple[str, ...]] = {
    "A": _lines("""
        {S} reports {A}.
        {S} c/o {A}.
        Ongoing {A}.
        No complaints today apart from {A}.
        {S} still has {A}.
        {S} endorses {A}.
        {S} has noticed {A} over the past {k} wks.
        {S} is doing well except for {A}.
        Main issue is {a}.
        {a} most days, manageable.
        Cannot get rid of {a}.
        Feels well other than {A}.
        Wife says he has {A}.
        Never without {a} these days.
        {a} back again since {mo}.
        Trouble with {A} lately, no fever.
        """),
    "A.change": _lines("""
        No change in {a} since last visit.
        {a} improved since last visit but still there.
        No improvement in {a} on meds.
        {a} not resolved.
        {a} less than before, not gone.
        {a} no better than {k} mo ago.
        Had hoped to be free of {a} by now, he is not.
        """),
    "A.new": _lines("""
        New since last visit: {A}.
        {a} started in {mo}.
        {S} developed {A} after the last visit.
        No {a} last time, now there.
        """),
    "A.plan": _lines("""
        {a}: {care}.
        For {a}: {care}.
        {a} - {care}.
        {care} for {a}.
        """),
    "A.settle": _lines("""
        On direct questioning does have {A}.
        Addendum: pt called back, he does have {A}.
        Correction to the above: {A} present.
        Wife disagrees, {A} still there, and pt concurs.
        """),
    "N": _lines("""
        {S} denies {N}.
        No {N}.
        Denies any {N}.
        {S} reports no {N}.
        No c/o {N}.
        Negative for {N}.
        {S} has not had {N}.
        W/o {N}.
        {n} denied.
        Asked about {N}: none.
        {n}: nil.
        Nothing to suggest {N}.
        {S} does not have {N} at present.
        Never developed {N}.
        Remains free of {N}.
        """),
    "R": _lines("""
        {r} resolved.
        {S} no longer has {R}.
        {S} had {R} during RT, stopped within {k} wks.
        {r} settled by {mo}.
        {r} gone since {mo}.
        {r} cleared up with treatment.
        {S} was bothered by {r} until {mo}, not since.
        Initial {r}, now a thing of the past.
        Used to have {r} after RT, over now.
        """),
    "R.change": _lines("""
        {r} at last visit, since resolved.
        Last visit {S} had {R}, none now.
        {r} noted {k} mo ago is no longer an issue.
        At last visit c/o {R}, today denies.
        """),
    "N.settle": _lines("""
        On direct questioning no {N} at present.
        Addendum: pt called back, {r} had already stopped.
        Correction to the above: {R} resolved, text copied forward.
        On review {r} last seen in {mo}, none now.
        """),
    "AN": _lines("""
        {S} denies {N} but reports {A}.
        {S} reports {A} but denies {N}.
        No {N}, but has {A}.
        {A} but no {N}.
        Despite {A}, no {N}.
        Denies {N}; {a} still a nuisance.
        Has {A} without {N}.
        {r} gone, {a} not.
        While {r} settled, {a} persists.
        {n} absent, {a} present.
        Denied {N} at check-in, admits {A} on questioning.
        No {N}, though {a} bothers him.
        {A} since RT, {N} never.
        """),
    "ROS": _lines("""
        + {A}, - {N}.
        Neg for {N}, pos for {A}.
        Positive: {A}; negative: {N}.
        {A} (+), {N} (-).
        """),
    "ROS.A": _lines("""
        + {A}.
        Pos for {A}.
        {A} (+).
        Positive: {A}.
        """),
    "ROS.N": _lines("""
        No {N}.
        - {N}.
        Neg for {N}.
        {N} (-).
        Negative: {N}.
        Denies {N}.
        """),
    "H": _lines("""
        Before RT he had {H}.
        H/o {H} in {y}, worked up at the time.
        Hx of {h} ({y}).
        Remote {h} ({y}).
        Prior to treatment baseline {H}.
        {h} as a young man.
        Bout of {h} in {y}.
        Had {H} with prostatitis in {y}.
        """),
    "F": _lines("""
        {rel} had {F}.
        {rel} has {F}.
        {rel} is being seen for {F}.
        {F} in his {rel}.
        {rel} suffers from {F}.
        Worried since his {rel} got {F} after seeds.
        """),
    "C": _lines("""
        Return if {C}.
        Warned about {C}.
        Call for {C}.
        Counseled re possible {C}.
        Late effects incl {C} discussed.
        Should {c} develop, call us.
        Risk of {C} reviewed.
        Told to watch for {C}.
        If {c}: {care}.
        Handout on {C} given.
        """),
    "P": _lines("""
        Will screen for {P} next visit.
        {P} not assessed today.
        Plan to review {P} at {m} mo.
        Questionnaire on {P} mailed.
        Did not get to {P} today.
        Will ask about {P} by phone.
        """),
}

RELATIVES = ("father", "brother", "neighbor", "uncle", "cousin", "wife", "mother")
MEN = 5
"""How many of ``RELATIVES``, from the first, can have every symptom."""

OPENING = (
    "{age}M s/p {rt} for {dx}, here for {when} f/u.",
    "{age} y/o man, {dx}, completed {rt}. Seen at {when}.",
    "{age}yo with {dx} s/p {rt}, {when} visit.",
    "{when} f/u after {rt} ({dx}), age {age}.",
)
RADIOTHERAPY = (
    "EBRT 78 Gy/39 fx",
    "SBRT 40 Gy/5 fx",
    "IMRT 79.2 Gy",
    "EBRT + HDR boost",
    "salvage RT 66 Gy",
)
DIAGNOSES = ("Gleason 3+4 prostate ca", "GG3 PCa", "T2c prostate adenoca", "high-risk prostate ca")
WHEN = {1: ("6 wk", "2 mo", "3 mo"), 2: ("6 mo", "9 mo", "12 mo")}

FILLERS: dict[str, tuple[str, ...]] = {
    "HPI": _lines("""
        PSA {psa}.
        Here with his wife.
        Tolerating ADT, some hot flashes.
        Appetite fair, wt stable.
        Seen in the ED in {mo} after a fall, no fx.
        Back at work part time on night shift.
        Burning feet, known neuropathy.
        Knee pain on stairs, sees ortho.
        Gums bled after dental cleaning.
        Bought a new urinal for the truck.
        Asks how often he needs bloodwork.
        Frequency of injections now q3 mo.
        """),
    "PMH": _lines("""
        HTN, DM2.
        CAD s/p stent, on aspirin.
        BPH, TURP {y}.
        COPD, former smoker.
        OA of the knees.
        Hernia repair {y}.
        Skin tag removed from neck {y}.
        """),
    "Exam": _lines("""
        Abd soft, no masses.
        ECOG {ecog}.
        BP 1{k}8/8{k}, afebrile.
        DRE deferred.
        No LE edema.
        Neuro grossly intact.
        """),
    "A/P": _lines("""
        PSA in 3 mo.
        RTC {m} wks.
        NED clinically.
        Continue ADT.
        Urgency of the knee MRI left to PCP.
        Labs today, blood drawn.
        Survivorship plan given.
        """),
}

HEADINGS: tuple[dict[str, str], ...] = (
    {"HPI": "Interval history", "ROS": "ROS", "PMH": "PMH", "FHx": "FHx", "Exam": "Exam", "A/P": "A/P"},
    {"HPI": "HPI", "ROS": "Review of systems", "PMH": "Past hx", "FHx": "Family/social", "Exam": "PE",
     "A/P": "Plan"},
    {"HPI": "S", "ROS": "ROS", "PMH": "PMHx", "FHx": "FamHx", "Exam": "O", "A/P": "A/P"},
    {"HPI": "INTERVAL HX", "ROS": "ROS", "PMH": "PAST MEDICAL", "FHx": "FAMILY", "Exam": "EXAM",
     "A/P": "IMPRESSION/PLAN"},
)  # fmt: skip
