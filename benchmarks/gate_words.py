"""What docs/results/gate.md says about its tables.

Owns the words; the numbers are beside them, in the tables that the script computes.
"""

from __future__ import annotations

SUMMARY = (
    "In short: a move that is worth nothing and hits no patients harder than others is promoted in "
    "at most one run out of ten, under every metric. A move that ruins a few patients and helps all "
    "others a little is promoted more often than that wherever there is the power to promote "
    "anything, and 50 patients cannot tell (one patient in ten ruined: about 16 to 18 % of runs "
    "under accuracy and F1 of common labels, 28 % under F1 of rare ones). What metrics differ in "
    "most is power: with 100 notes the first look finds +8 points of accuracy nearly always, of F1 "
    "of common labels two times out of three, of F1 of rare labels, of short lists or of kappa one "
    "time out of four or five, or less."
)

SKEW = (
    "A move that breaks a few patients' notes and helps all others a little is worth nothing on "
    "average, and on most dev sets looks good. Sign flips alone promote it too often; the gate "
    "therefore also asks for a test that allows for skewness (docs/adr/0006). What no test on 50 "
    "patients can see is harm so rare that dev holds hardly a case of it: there the rate stays "
    "above the nominal 10 %."
)

WORLD = (
    "`gate_metrics.py` has the model: 100 notes of 50 patients, 8 looks, stacking, α returned. The "
    "first student finds 70 % of what is there, and 70 % of what it says is right, in every field: "
    "F1 is 70 whether a field is common (20–40 % positive) or rare (5 %); accuracy is 82, or 97 "
    "with rare fields, kappa 76. «Symmetric»: a move puts 36 % of all errors right and makes as "
    "many anew. «1 patient in 10 ruined»: nine tenths of what was found in a ruined patient's notes "
    "is lost and as much is invented as keeps precision, and all get back a little; the true metric "
    "does not change. Lists have 0 to 4 items. Columns of rules: swaps alone (approximate "
    "randomisation); with the t test on influences that allows for skewness; and with the guard of "
    "recall as well, which is the gate. The guard of single fields is in the real `judge` only."
)

PROMOTED = (
    "Symmetric nulls pass no more often than the nominal 10 % under any metric, rare labels and "
    "short lists included: swapping is a fair test of F1 and kappa. **Ruined patients are another "
    "matter**: 20 fields, the fuller lists and kappa do not hold 10 % there, and accuracy does not "
    "either. With common fields the skewness test halves the rate for one patient in ten, and cuts "
    "it by a third for one in twenty; with rare fields, lists and kappa it hardly does anything. "
    "With 3 rare fields and lists that are 90 % empty the rates are low because almost nothing is "
    "ever promoted: see the power. The guard of recall changes none of these rates; recall does not "
    "truly fall."
)

WHY = (
    "The skewness test needs to see the skewness. Where fields are common, a sample of 50 patients "
    "shows nearly what the population has. Where they are rare, it shows less than half of it: a "
    "third of the patients have nothing to find, the others three cases on average, and what "
    "becomes of so few is mostly noise."
)

POWER = (
    "The effect is +8 points of the metric of that row, so rows are not the same move: +8 of "
    "accuracy at 82 puts right nearly half of all errors, +8 of F1 at 70 a quarter of them. "
    "Accuracy of 97 has no 8 points left to gain. **100 notes are too few for rare labels, short "
    "lists or a single scale**; with 3 rare fields, or lists that are 90 % empty, 400 notes are too "
    "few. It is what the data hold, not the test: the gain spreads that widely from one dev set to "
    "the next (below). The ways out are more dev notes, and stacking of several gains."
)

TRADED = (
    "The same F1 by another balance of precision and recall is promoted as rarely as it should be, "
    "though two such recipes are not exchangeable. What gains F1 by saying less is truly better "
    "under F1; the guard stops a part of it where fields are common, and **nothing where fields are "
    "rare or lists short**: what gets past the test there has lost little recall on dev, whatever "
    "it loses in truth."
)

SPREAD = (
    "A ratio under 1 pretends to know more than is known. Where labels are rare, influences (the "
    "infinitesimal jackknife) give a standard error that is some 10 to 15 % too small, so a t test "
    "on them is no test by itself; in the gate it only ever stands beside the swaps. Really leaving "
    "out one patient after the other errs as far to the other side, or farther. Standard errors in "
    "reports are those of resampling. Intervals of a gain hold the truth about as often as they "
    "say; those of the value of macro F1 over many rare fields do so too seldom, and lie too low: a "
    "mean of F1s of five cases each is biased downwards, and in each resampling once more."
)

REMEDY = (
    "Nothing that was tried beats the gate. Leaving patients out instead of taking influences "
    "promotes fewer ruinous moves with rare fields, and finds fewer good ones: with levels set so "
    "that all tests find equally many good moves (last column), they promote about equally many "
    "ruinous ones. It is a stricter level by another name, and with it whole runs still exceed 10 "
    "%. A spread taken from the swaps, the bootstrap-t and the BCa bootstrap change next to "
    "nothing. (A t statistic that is studentised anew in every swap was not tried: for a mean it "
    "ranks swaps as the mean does.) To ask for a least number of patients with something to find "
    "would not help: with 20 rare fields most patients have it, and there ruinous moves pass most "
    "often; with 3 few have it, and they hardly ever pass. So the test stands as it was; what helps "
    "is a larger dev part."
)
