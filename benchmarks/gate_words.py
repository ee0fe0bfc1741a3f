"""What docs/results/gate.md says about its tables.

Owns the words; the numbers are beside them, in the tables that the script computes.
"""

from __future__ import annotations

SUMMARY = (
    "In short: a move that is worth nothing and hits no patients harder than others is promoted in at most "
    "one run out of ten, under every metric. A move that ruins a few patients and helps all others a "
    "little is promoted more often than that under every metric, and 50 patients cannot tell. What the "
    "metrics differ in is power: with 100 notes the gate finds +8 points of accuracy nearly always, of F1 of "
    "common labels two times out of three, of F1 of rare labels or short lists seldom."
)

SKEW = (
    "A move that breaks a few patients' notes and helps all others a little is worth nothing on "
    "average, and on most dev sets looks good. Sign flips alone promote it too often; the gate "
    "therefore also asks for a test that allows for skewness (docs/adr/0006). What no test on 50 "
    "patients can see is harm so rare that dev holds hardly a case of it: there the rate stays above "
    "the nominal 10 %."
)

WORLD = (
    "`gate_metrics.py` has the model: 100 notes of 50 patients, 8 looks, stacking, α returned. The first "
    "student finds 70 % of what is there, and 70 % of what it says is right, in every field: F1 is 70 "
    "whether a field is common (20–40 % positive) or rare (5 %); accuracy is 82, or 97 with rare fields, "
    "kappa 76. «Symmetric»: a move puts 36 % of all errors right and makes as many anew. «1 patient in "
    "10 ruined»: nine tenths of what was found in a ruined patient's notes is lost and as much is "
    "invented as keeps precision, and all get back a little; the true metric does not change. The lists "
    "have 0 to 4 items. Columns of rules: swaps alone (approximate randomisation); with the t test on "
    "influences that allows for skewness; and with the guard of recall as well, which is the gate. The "
    "guard of single fields is in the real `judge` only."
)
PROMOTED = (
    "Symmetric nulls pass no more often than the nominal 10 % under any metric, rare labels and short "
    "lists included: swapping is a fair test of F1 and kappa. **Ruined patients are another matter**: no "
    "metric holds 10 % there, accuracy no more than F1. With common fields the skewness test halves the "
    "rate; with rare ones, lists and kappa it hardly does anything. Where a field is rare, what is there "
    "sits in few patients, one ruined patient in ten means one or two who count, and a sample of 50 does "
    "not show the skewness that the population has; the sections below say what was tried. "
    "Under 3 rare fields and lists that are 90 % empty the rates are low because almost nothing is ever "
    "promoted: see the power. The guard of recall changes none of these rates: recall does not truly fall."
)
POWER = (
    "The effect is +8 points of the metric of that row, so rows are not the same move: +8 points of "
    "accuracy at 82 puts right nearly half of all errors, +8 of F1 at 70 a quarter of them. Accuracy of 97 has "
    "no 8 points left to gain. **100 notes are too few for rare labels, short lists or one scale**: a true "
    "gain of 8 points is found at the first look in one run out of four or five, with 3 rare fields or lists "
    "that are 90 % empty hardly ever. It is what the data hold, not the test: the spread of the gain is "
    "that wide (below). The ways out are more dev notes, or stacking of several gains."
)
TRADED = (
    "Same F1 by another balance of precision and recall is promoted as rarely as it should be, though "
    "the two recipes are not exchangeable. What gains F1 by saying less is truly better under F1; the guard "
    "stops part of it. With common fields it sees a fall of recall by 10 points about half of the time, "
    "with rare fields and short lists seldom: «surely» needs enough to be found."
)
SPREAD = (
    "Ratios under 1 pretend to know more than is known. Where labels are rare, influences (the "
    "infinitesimal jackknife) give a standard error that is a sixth too small, so a t test on them is no test by "
    "itself; in the gate it only ever stands beside the swaps. Really leaving out one patient after the other errs as far "
    "to the other side. Standard errors in reports are those of resampling. Intervals of a gain hold the truth about as often "
    "as they say; intervals of the value of macro F1 itself with rare fields do so too seldom, and lie "
    "too low: the mean of F1s of five cases each is biased downwards, and again in each resampling."
)
REMEDY = (
    "Nothing that was tried beats the gate. Leaving patients out instead of taking influences promotes "
    "fewer ruinous moves with rare fields, and finds fewer good ones in the same measure: with the level set "
    "so that all find equally many good moves (last column), they promote about equally many ruinous "
    "ones. It is a stricter level by another name. A spread taken from the swaps, the bootstrap-t and the "
    "BCa bootstrap change next to nothing. (A t statistic that is studentised anew in every swap was not "
    "tried: for a mean it orders swaps as the mean does.) To ask for a least number of patients with "
    "something to find would not bite either: 33 of 50 have it with 20 rare fields, where ruinous moves "
    "pass most often, and 12 with 3, where they hardly ever do. So the test stands as it was."
)
