"""The words of the synthetic notes: twelve late effects of pelvic radiotherapy and how people say them.

Owns surface forms and misspellings only; sentences are in ``frames``, who says what in ``notes``.
Every form was written for this corpus; none is taken from a patient. Forms stand in falling order of
use, so that the last ones of a list form the long tail that a small train set does not show.
"""

from __future__ import annotations

from dataclasses import dataclass

SYSTEMS = ("GU", "GI", "General", "Skin")


@dataclass(frozen=True)
class Symptom:
    """One field of the task.

    Attributes:
        name: The field's name, all that the starting prompt says.
        system: Under which heading of a review of systems it stands.
        forms: Noun phrases, usable after «denies» as after «reports».
        says: Whole sentences that say it is there.
        negs: Whole sentences that say it is not there.
        care: What a plan does about it when it is there.
        rates: Chances of (present, absent); the rest is unknown.
    """

    name: str
    system: str
    forms: tuple[str, ...]
    says: tuple[str, ...]
    negs: tuple[str, ...]
    care: tuple[str, ...]
    rates: tuple[float, float]


def _split(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("|") if part.strip())


def _symptom(name: str, system: str, rates: tuple[float, float], *texts: str) -> Symptom:
    forms, says, negs, care = (_split(text) for text in texts)
    return Symptom(name, system, forms, says, negs, care, rates)


SYMPTOMS: tuple[Symptom, ...] = (
    _symptom(
        "urinary frequency",
        "GU",
        (0.31, 0.23),
        """frequent urination | frequency | urinary frequency | voiding every hour | daytime frequency |
        frequent voids | passing urine often | hourly voiding | q1h voids | small frequent voids |
        increased voiding by day | short voiding intervals | frequent micturition |
        peeing all day long | needing the urinal every hour | pollakiuria |
        constant trips to pee | frequent trips to the john | emptying his bladder too often |
        more voids than usual | overactive daytime bladder | voids every 30-40 min""",
        """Voids q1h during the day. | Has to stop the car every hour to pee. |
        Passes water every 45 min in the daytime. | Bladder only holds for an hour at a time. |
        Counts {m} voids between breakfast and bedtime.""",
        """Voids every 3-4 h by day. | Daytime voiding back to normal intervals. |
        Sits through a movie without a bathroom break. | Passes urine 5x a day as before treatment.""",
        """trial of oxybutynin | cut down on coffee | start mirabegron 25 mg | bladder diary""",
    ),
    _symptom(
        "urinary urgency",
        "GU",
        (0.30, 0.25),
        """urgency | sudden urge to void | urinary urgency | urgent need to pee | bladder urgency |
        rushing to the toilet to pee | sudden strong bladder urges | inability to defer voiding |
        difficulty postponing urination | having to run to urinate | imperative urge to urinate |
        difficulty holding urine once the urge hits | urge to pass water at once |
        pressing need to void | strong desire to void | urge sx |
        bladder that will not wait | mad dashes to the restroom | gotta-go feeling |
        needing a toilet in seconds | precipitous need to urinate | sudden calls to pee""",
        """When he has to pee he has to go at once. | Cannot put off voiding for more than a minute. |
        Bladder gives little warning. | Drops everything to get to a urinal in time. |
        Maps out every restroom before leaving home as the bladder will not wait.""",
        """Holds his urine comfortably. | Able to put off voiding without trouble. |
        Bladder gives him plenty of warning. | Can wait in line for the men's room.""",
        """continue mirabegron | timed voiding | start solifenacin 5 mg | pelvic floor PT""",
    ),
    _symptom(
        "nocturia",
        "GU",
        (0.31, 0.23),
        """getting up at night to void | nocturia | night-time voiding | waking to urinate |
        nighttime trips to the bathroom | getting up overnight to pee | sleep broken by voiding |
        nocturnal voids | waking with a full bladder | rising overnight to pass water |
        night-time urination | bathroom trips after midnight | nocturnal micturition |
        voiding several times a night | nightly bathroom visits | interrupted sleep from urinating |
        needing the urinal after bedtime | bladder wake-ups | overnight urine calls |
        peeing in the small hours | leaving bed to urinate | nocturnal urinary calls""",
        """Up to void x{k} overnight. | Gets up {k} times a night to pee. |
        Bladder wakes him q2h at night. |
        Nights broken by {k} trips to the toilet. | Keeps a urinal at the bedside and uses it {k}x.""",
        """Sleeps through without having to void. | Bladder lets him sleep all night. |
        Sleeps 7 h without a bathroom trip. | Stays in bed until morning without needing to pee.""",
        """tamsulosin 0.4 mg qhs | no fluids after 6 pm | move furosemide to the morning""",
    ),
    _symptom(
        "dysuria",
        "GU",
        (0.27, 0.31),
        """burning with urination | dysuria | painful urination | burning on voiding |
        pain with voiding |
        discomfort on urination | stinging when he pees | urethral burning | pain passing water |
        smarting on passing urine | micturition pain | scalding on micturition |
        burning in the penis on voiding | hot feeling when urinating | sting at the end of the stream |
        odynuria |
        razor-blade feeling on peeing | raw feeling with urine flow | urine that burns |
        soreness along the urethra on voiding | burn with the stream | pee pain""",
        """It burns when he pees. | Passing water stings. | Urinating hurts toward the end. |
        Winces every time he passes urine. | Urine feels like hot needles coming out.""",
        """Voids without discomfort. | Passing water is comfortable. | Urination painless. |
        Urinates with ease and comfort.""",
        """phenazopyridine x3 days | UA with culture today | push fluids""",
    ),
    _symptom(
        "hematuria",
        "GU",
        (0.27, 0.35),
        """blood in the urine | hematuria | gross hematuria | bloody urine | pink urine |
        blood-tinged urine | red urine | clots in the urine | blood when voiding |
        rust-colored urine | visible blood on voiding | urinary bleeding |
        macroscopic hematuria | cola-colored urine | blood at the end of the stream |
        haematuria |
        red-tinged stream | tea-colored urine | bloody stream | port-wine urine |
        maroon urine | clot passage on voiding""",
        """Urine has been pink. | Passed a small clot with his urine. |
        Saw red in the toilet bowl after voiding. | Urine looks like rose wine some mornings. |
        Urine turns the color of tea with streaks of red.""",
        """Urine clear yellow. | Urine has stayed clear. | Toilet water stays clear after voiding. |
        Urine runs clear by his account.""",
        """cystoscopy with urology | hold aspirin | repeat UA in 2 wks""",
    ),
    _symptom(
        "urinary incontinence",
        "GU",
        (0.27, 0.29),
        """leakage of urine | incontinence | urine leakage | urinary incontinence | leaking urine |
        stress incontinence | dribbling | bladder leakage | leaking with cough |
        involuntary loss of urine | urinary leaks | wetting himself | damp underwear |
        leaks on lifting | bedwetting | post-void dribble |
        urinary accidents | loss of bladder control | pad use for urine | squirts of urine on standing |
        UI | wet briefs""",
        """Wears {k} pads a day. | Leaks when he coughs. | Wet by the end of a long walk. |
        Keeps spare trousers in the car for accidents. | Goes through {k} guards by dinner time.""",
        """Dry without pads. | Pad-free. | Fully continent of urine. | Stays dry even with coughing.""",
        """Kegel exercises | pelvic floor PT referral | pads ordered""",
    ),
    _symptom(
        "diarrhea",
        "GI",
        (0.29, 0.28),
        """loose stools | diarrhea | loose BMs | watery stools | frequent loose BMs | runny stools |
        watery BMs | liquid stools | unformed stools | bowel looseness | the runs | mushy stools |
        soft unformed BMs | stools like water | loose motions | unformed BMs |
        bowels on the run | squirty BMs | stools that will not firm up | pudding-like stools |
        loosies | diarrheal stools""",
        """BMs {k}-{m}x a day and watery. | Needs loperamide most days to slow the bowels. |
        Stools have been like soup. | Bowels running since the weekend. |
        Nothing solid in the toilet for {k} weeks.""",
        """BMs formed once a day. | Bowels regular with formed stool. | Stools solid. |
        Bowel habit at baseline and well formed.""",
        """loperamide prn | low-residue diet | stool for C diff | psyllium daily""",
    ),
    _symptom(
        "rectal bleeding",
        "GI",
        (0.27, 0.31),
        """blood with BMs | BRBPR | rectal bleeding | blood in the stool | blood on the toilet paper |
        hematochezia | bright red blood per rectum | bloody stools | bleeding per rectum |
        blood when wiping | blood streaks on the stool | bleeding with bowel movements |
        PR bleeding | fresh blood on the tissue | bloody BMs | anorectal bleeding |
        red water in the bowl after BMs | bleeding from the back passage | blood per anus |
        red smears on wiping | haematochezia | blood drips after stooling""",
        """Sees red on the paper after a BM. | Stool streaked red at times. |
        Bowl turned red after BMs {k}x this month. | Fresh red drops when he wipes. |
        Found red stains after moving his bowels.""",
        """Paper clean after wiping. | Stools brown without red streaks. |
        Stool brown and the paper stays white. | No red seen when he moves his bowels.""",
        """sucralfate enema | refer for flex sig | CBC today | stool softener""",
    ),
    _symptom(
        "rectal pain",
        "GI",
        (0.27, 0.29),
        """pain with BMs | rectal pain | painful bowel movements | rectal discomfort | rectal soreness |
        anal pain | pain on defecation | proctalgia | soreness in the rectum |
        sharp pain when passing stool | rectal ache | anorectal pain | sore bottom |
        rectal spasms | pain sitting on the toilet | anal soreness |
        knife-like pain at the anus | pain in the back passage | hurting down there with BMs |
        stinging at the anus after BMs | deep rectal throb | dyschezia""",
        """Hurts to pass stool. | Sits on a cushion because the rectum is sore. |
        Passing stool feels like broken glass. | Dreads BMs because they hurt. |
        Needs sitz baths to bear a bowel movement.""",
        """BMs painless. | Passes stool in comfort. | Bowel movements are comfortable. |
        Moves his bowels with ease.""",
        """hydrocortisone suppositories | sitz baths bid | lidocaine jelly prn""",
    ),
    _symptom(
        "fatigue",
        "General",
        (0.31, 0.22),
        """tiredness | fatigue | low energy | feeling tired | exhaustion | lack of energy |
        feeling worn out | reduced energy | feeling run down | lethargy | poor stamina |
        feeling drained | tiring easily | weariness | feeling wiped out | asthenia |
        feeling bushed | no-gas-in-the-tank feeling | sluggishness | flagging by midday |
        malaise | heavy limbs from tiredness""",
        """Naps most afternoons. | Runs out of steam by noon. | Energy about half of what it was. |
        On the couch most of the day for want of energy. | Has to rest after mowing half the lawn.""",
        """Energy good. | Energy back to baseline. | Plenty of energy for work. |
        Back to golf and full of vigor.""",
        """graded walking program | check TSH with Hgb | sleep hygiene""",
    ),
    _symptom(
        "erectile dysfunction",
        "GU",
        (0.31, 0.20),
        """ED | difficulty with erections | erectile dysfunction | poor erections | impotence |
        weak erections | trouble getting an erection | erectile difficulty | loss of erections |
        erection problems | inability to maintain an erection | soft erections |
        potency problems | unsatisfactory erections | erectile issues | impaired potency |
        bedroom trouble | failure to get hard | less rigid penis | problems performing |
        lost potency | flaccidity during sex""",
        """Erections too soft for intercourse. | Has not had an erection since RT. |
        Sildenafil no longer gives a usable erection. | Intercourse not possible for want of rigidity. |
        Has given up on intercourse as nothing happens.""",
        """Erections adequate for intercourse. | Potent. | Erections as firm as before treatment. |
        Has intercourse weekly without aids.""",
        """sildenafil 50 mg prn | tadalafil 5 mg daily | vacuum device discussed""",
    ),
    _symptom(
        "skin reaction",
        "Skin",
        (0.28, 0.29),
        """skin redness | radiation dermatitis | skin reaction | skin irritation | perineal redness |
        peeling skin | erythema in the field | dermatitis | dry desquamation | groin rash |
        moist desquamation | rash in the treated area | sore groin skin |
        skin breakdown in the gluteal fold | radiodermatitis | itchy red skin over the hips |
        chafed raw perineum | scaly patch over the sacrum | burnt-looking groin |
        weeping crease skin | flaking in the field | hyperpigmented scaly groin""",
        """Groin red with peeling. | Skin over the sacrum pink and scaling. |
        Needs Aquaphor for the raw perineum. | Gluteal fold raw and weeping. |
        Buttocks look sunburnt in a square.""",
        """Skin intact in the field. | Skin of the groin normal. | Perineal skin healed over. |
        Treated area pale and smooth.""",
        """Aquaphor bid | hydrocortisone 1% cream | silver sulfadiazine to the open area""",
    ),
)

MISSPELT: dict[str, tuple[str, ...]] = {
    "anal": ("annal",),
    "bleeding": ("bleding", "bleedng"),
    "blood": ("bloood", "bld"),
    "bowel": ("bowl", "bowell"),
    "burning": ("buring", "burnning"),
    "dermatitis": ("dermatitits", "dermitits"),
    "desquamation": ("desquammation",),
    "diarrhea": ("diarhea", "diarrhoea", "diarreha"),
    "difficulty": ("dificulty",),
    "discomfort": ("discomfrot",),
    "dribbling": ("dribling",),
    "dysfunction": ("disfunction", "dysfuncton"),
    "dysuria": ("disuria", "dysurea"),
    "energy": ("enrgy",),
    "erectile": ("erectle",),
    "erections": ("erectons",),
    "erythema": ("erythmea",),
    "exhaustion": ("exaustion",),
    "fatigue": ("fatigeu", "fatique"),
    "frequency": ("freqency", "frequencey"),
    "frequent": ("freqent",),
    "hematochezia": ("hematochesia",),
    "hematuria": ("hematuira", "hemturia"),
    "impotence": ("impotance",),
    "incontinence": ("incontinance", "incontinece"),
    "leakage": ("leakge",),
    "lethargy": ("lethergy",),
    "loose": ("lose",),
    "nocturia": ("noctura", "nocturai"),
    "painful": ("painfull",),
    "rectal": ("rectl", "retcal"),
    "redness": ("rednes",),
    "soreness": ("sorness",),
    "stools": ("stoools", "stolls"),
    "tiredness": ("tirdness",),
    "urgency": ("urgancy", "urgencey"),
    "urinary": ("urinery",),
    "urination": ("urinaton", "urniation"),
    "urine": ("urin",),
    "void": ("viod",),
    "voiding": ("voidng",),
    "watery": ("watry",),
}
"""Typing errors as they occur in dictated and typed notes, by word."""
