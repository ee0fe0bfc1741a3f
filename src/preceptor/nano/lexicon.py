"""Own the hand-written words of the task generator: clinical and everyday terms, label words.

The generator mixes these with the tokenizer's own whole-word tokens and with pseudo-words.
"""

from __future__ import annotations

LABEL_WORDS: tuple[str, ...] = tuple(
    """present absent unknown yes no true false positive negative none current past former never
    possible mentioned denied affirmed stated reported active resolved uncertain unclear missing
    applicable indicated documented confirmed excluded ruled family history not other some any
    normal abnormal mild moderate severe low high left right both planned hypothetical has
    lacks found unstated undetermined noted unmentioned observed unremarkable relevant
    irrelevant included ongoing stopped previous today male female good bad neutral mixed
    question complaint praise billing delay on off in out one two three four zero minor major
    pos neg unk""".split()
)

SYMPTOMS: tuple[str, ...] = tuple(
    """xerostomia dysphagia odynophagia mucositis dermatitis erythema fatigue tiredness lethargy
    nausea vomiting emesis retching diarrhea diarrhoea constipation dyspnea dyspnoea wheeze cough
    haemoptysis hemoptysis epistaxis hoarseness dysphonia trismus dysgeusia ageusia anosmia
    lymphedema oedema edema swelling fibrosis alopecia pruritus itching rash blistering ulcer
    ulceration desquamation bleeding bruising petechiae pallor jaundice fever chills sweats rigors
    malaise weakness dizziness vertigo syncope faintness headache migraine photophobia tinnitus
    otalgia earache neuropathy numbness tingling paresthesia tremor seizure confusion delirium
    insomnia sleeplessness anxiety depression irritability palpitations tachycardia bradycardia
    angina orthopnea claudication hypertension hypotension hyperlipidemia diabetes asthma copd
    pneumonia bronchitis sinusitis pharyngitis tonsillitis gastritis colitis hepatitis cirrhosis
    pancreatitis cholecystitis appendicitis nephritis dysuria haematuria hematuria frequency
    urgency nocturia incontinence retention polyuria polydipsia anuria arthralgia myalgia
    arthritis stiffness spasm cramp sprain fracture osteoporosis gout sciatica lumbago anorexia
    cachexia dehydration thirst bloating flatulence heartburn reflux dyspepsia belching hiccups
    melena hematochezia proctitis cystitis vaginitis dyspareunia amenorrhea menorrhagia
    infertility obesity anaemia anemia leukopenia neutropenia thrombocytopenia infection sepsis
    abscess cellulitis thrush candidiasis herpes shingles eczema psoriasis acne urticaria
    conjunctivitis cataract glaucoma diplopia ptosis aphasia ataxia hemiparesis stroke dementia
    parkinsonism neuralgia tumor tumour nodule mass lesion metastasis recurrence smoking drinking
    drooling choking aspiration gagging phlegm mucus sputum congestion sneezing snoring apnea
    pain ache soreness tenderness burning discomfort cramping pressure tightness heaviness""".split()
)

SITES: tuple[str, ...] = tuple(
    """mouth throat tongue lip lips gum gums jaw cheek nose ear eye eyes neck head face scalp skin
    chest breast back shoulder arm elbow wrist hand finger hip leg knee ankle foot toe abdomen
    stomach bowel rectum bladder kidney liver lung heart muscle joint bone spine nerve saliva
    voice taste smell sleep appetite weight swallowing chewing breathing walking speech hearing
    vision memory mood energy urine stool""".split()
)

QUALITIES: tuple[str, ...] = tuple(
    """dry sore swollen stiff tight painful itchy red burning sticky thick watery loose hard weak
    numb cold hot raw cracked blistered peeling parched scratchy hoarse blocked runny bloody dark
    pale yellow heavy sharp dull throbbing stabbing constant poor reduced altered impaired
    difficult limited frequent excessive increased decreased low high chronic acute bitter
    metallic foul restless worn drained exhausted tired sleepy foggy shaky dizzy bloated""".split()
)

TROUBLES: tuple[str, ...] = (
    "trouble {}",
    "difficulty {}",
    "problems with {}",
    "loss of {}",
    "lack of {}",
    "change in {}",
    "{} problems",
    "{} trouble",
    "{} pain",
    "{} discomfort",
    "pain in the {}",
    "sore {}",
    "swelling of the {}",
    "tightness of the {}",
    "decreased {}",
    "{} changes",
    "cannot stop {}",
    "hard to {}",
    "lots of {}",
    "bad {}",
    "{} gone",
    "too much {}",
    "needs help with {}",
)

EVERYDAY: tuple[str, ...] = tuple(
    """alcohol tobacco cannabis cigarettes vaping wine beer housing shelter homeless landlord rent
    job work employment unemployed retired school transport car bus ride insurance money debt
    food groceries hunger loneliness friends spouse partner wife husband children violence abuse
    exercise diet allergy penicillin statin aspirin metformin insulin warfarin ibuprofen
    paracetamol morphine antibiotic steroid vaccine inhaler walker wheelchair oxygen catheter
    feeding tube dentures glasses surgery biopsy scan radiotherapy chemotherapy transfusion
    dialysis admission fall falls accident refund delivery parcel invoice password login account
    transfer card charge booking table reservation song playlist weather movie review heating
    cooling leak noise lighting cleaning elevator parking maintenance order ticket""".split()
)

FUNCTION_WORDS: frozenset[str] = frozenset(
    """the a an and or but of in on at to for with without from by as is was were are be been has
    have had do does did not no nor none never denies denied deny denying negative positive
    absent present unknown reports reported report reporting complains complained complaining
    endorses endorsed notes noted noting some any all this that these those it its he she they
    his her their him them patient patients pt family mother father sister brother aunt uncle
    grandmother grandfather son daughter parent parents history past previous previously prior
    former formerly current currently today yesterday week weeks month months year years day days
    ago since resolved free evidence further ongoing persistent still developed may might could
    would should will can if return warned warning advised possible possibly planned plan cause
    causes risk signs sign watch monitor counselled discussed follow up yes true false mild
    slight slightly mildly severe moderate again later earlier now then however although counts
    count means mean read note field labels label rules rule examples meaning look answer json
    gone settled improved cleared stopped started continues continued longer absence lack lacks
    neither either there here who which what when where how than into over under about after
    before during while only just also very more most much many few other another such same so
    too well like get gets got says said tells told states stated mentions mentioned affirms
    affirmed confirms confirmed relative relatives kid kids""".split()
)
