"""Words that are known to turn a statement, by kind, in a few languages.

Owns nothing but the lists. What a kind means for a label is learnt from the notes (``rag.evidence``):
the lists only say which words may be counted together, so that little data goes further. In another
language every word is counted for itself. Words are as ``rag.tokens`` gives them (ae for ä).
"""

from __future__ import annotations

KINDS: dict[str, frozenset[str]] = {
    "no": frozenset(
        """
        no not denies denied deny denying without w/o never negative neg none nil absent free hasn't
        isn't doesn't didn't lack lacks kein keine keinen keiner keinerlei nicht ohne verneint negativ
        nie frei pas sans aucun aucune nie non sin niega ningun ninguna no sem nega geen niet zonder
        """.split()
    ),
    "gone": frozenset(
        """
        resolved resolution gone stopped ceased cleared settled subsided over ended former abgeklungen
        verschwunden sistiert weg rueckgebildet remis disparu resuelto desaparecido risolto verdwenen
        """.split()
    ),
    "has": frozenset(
        """
        reports reported endorses complains complaining c/o has have having notes noted describes
        positive pos present ongoing persistent persists worsening worse new continues still developed
        troubled bothered admits some mild moderate severe klagt berichtet leidet hat haben weiterhin
        besteht bestehen neu zunehmend signale presente refiere presenta riferisce meldt heeft
        """.split()
    ),
    "kin": frozenset(
        """
        mother father sister brother aunt uncle cousin son daughter grandmother grandfather wife family
        fhx relatives parent mom dad mutter vater schwester bruder tante onkel sohn tochter grossmutter
        grossvater familie mere pere soeur frere madre padre hermana hermano moeder vader zus broer
        """.split()
    ),
    "if": frozenset(
        """
        if should risk possible return watch call counseled counselled warned handout questionnaire
        advised precautions monitor develop prevent wenn falls risiko moegliche moeglich sollte
        aufgeklaert aufklaerung si risque risque riesgo rischio indien
        """.split()
    ),
    "past": frozenset(
        """
        h/o hx history ago previously formerly prior past before childhood young since frueher vormals
        anamnestisch vor jahren antecedents antecedentes anamnesi
        """.split()
    ),
    "but": frozenset(
        "but except however although though aber ausser jedoch mais sauf pero ma maar".split()
    ),
}
"""Kind -> words."""

KIND_OF: dict[str, str] = {word: kind for kind, words in KINDS.items() for word in words}
