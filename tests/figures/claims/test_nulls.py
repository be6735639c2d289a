"""Nothing is reproduced where there is nothing: the registry against results whose arms are swapped or dealt anew.

Measured here, with 8 seeds (PRINT=1 prints the rates of each claim):

- Arms dealt anew among all arms within each seed, 1,000 nulls: no claim is falsely reproduced in more than 3.0 %; on
  sweeps, 200 nulls, in none more than 2.0 %.
- The same with 6 seeds: 2.8 % at most; with 4: 3.9 %.
- The arms of a strong effect exchanged in each seed or not, in all 256 ways: 9 of 256, 3.5 %, at most.
- Verdicts of the neuron drawn with the wrong probability, 1,000 nulls: 2.8 % at most. Masks that keep just .98: 3.1 %.
- With 4 seeds, the fewest that are judged, a strong effect with its arms exchanged at random is called reproduced in 1
  of 16: 6.2 %, more than the 5 % that the interval promises; the exact p beside such a verdict is .125, the smallest
  that 4 seeds can reach. Of 4 to 12 seeds only 7 are as bad (6.2 %, p at most .125); 8 seeds have 3.5 %.
"""

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest

from figures.analysis.statistics import sign_flip_p, t_interval
from figures.claims.family import FALSE_REPRODUCED, HIGHEST_RATE
from figures.claims.registry import CLAIMS, ON_THEORY, evaluate
from figures.claims.verdicts import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, REVERSED
from figures.results.network import Records
from tests.figures import claim_records as made
from tests.figures.synthetic import in_memory
from theory.sampling import difference_interval, paired_interval, paired_shares_interval

pytestmark = pytest.mark.slow

EIGHT, NULLS, FEWER, MOST = range(8), 1000, 200, 0.05
MASKS = "mask-convergence"  # says nothing of IMP against LRR
AS_GOOD = "15a"  # is true where two arms are equal: its null lies at the margin
OTHERS = (MASKS, AS_GOOD)
ON_NETWORKS = [number for number, claim in CLAIMS.items() if claim.kind != ON_THEORY and number not in OTHERS]
_RULES = [("imp", "lrr"), ("imp-perturbed", "lrr-perturbed"), ("imp-without-warmup", "lrr-without-warmup")]
_MASKS = [(f"imp-on-{kind}-mask", f"lrr-on-{kind}-mask") for kind in ("random", "shuffled")]
FAMILIES = [*_RULES, *_MASKS, ("imp-on-lrr-mask", "lrr-on-imp-mask"), ("imp-bn-kept", "lrr-bn-rewind"),
            ("sign", "magnitude")]  # fmt: skip
# both rewind BN, both keep it: exchanging the rules alone leaves an interaction with BN rewind as it is
WITHIN_BN = [("imp", "lrr-bn-rewind"), ("lrr", "imp-bn-kept"), ("imp-without-warmup", "lrr-without-warmup"),
             ("sign", "magnitude")]  # fmt: skip
# claims -> the pairs of arms that turn their effects around when exchanged
PAIRS = {
    ("5", "8", "9", "10a", "10b", "11", "13", "criteria", "architectures", "prune-rates", "schedules"):
        [*_RULES, *_MASKS],
    ("6",): [("imp", "imp-on-lrr-mask")],
    ("7",): [("imp", "lrr-on-imp-mask")],
    ("12", "14"): WITHIN_BN,
    ("15b",): [("lrr", "cyclic-random")],
}  # fmt: skip


@pytest.fixture(scope="module")
def theory(records):
    """The neuron's results: claim 13 needs its theory part."""
    return records.theory


@pytest.fixture(scope="module")
def networks(theory):
    return replace(made.every_record(EIGHT), theory=theory)


def verdicts(records):
    return {verdict.id: verdict.verdict for verdict in evaluate(records)}


def rates(count, nulls):
    shares = {number: found / nulls for number, found in count.items()}
    if os.environ.get("PRINT"):
        print(*(f"{number} {share:.4f}" for number, share in shares.items()))
    return shares


def exchanged(records, pairs):
    names = dict(pairs) | {b: a for a, b in pairs}
    return made.on_every_study(records, lambda results: made.relabelled(results, names))


def exchanged_in(records, pairs, seeds):
    """The arms of each pair exchanged in some seeds, in every study alike."""
    names = dict(pairs) | {b: a for a, b in pairs}

    def change(results):
        there = {a: b if a in results.arms and b in results.arms else a for a, b in names.items()}
        arms = {}
        for arm, run in results.arms.items():
            other = results.arms[there.get(arm, arm)].seeds
            arms[arm] = replace(run, seeds={s: other[s] if s in seeds else own for s, own in run.seeds.items()})
        return replace(results, arms=arms)

    return made.on_every_study(records, change)


def only(records, claims, pairs):
    """The records with the arms that some claims need and no others, to save time."""
    if "5" in claims:
        return records
    arms = {*itertools.chain(*pairs), "lrr", "imp-long"}
    study = records.studies[0]
    kept = replace(study, arms={arm: run for arm, run in study.arms.items() if arm in arms})
    return replace(records, studies=(kept,), sweeps=())


def test_every_claim_on_networks_is_reproduced_before_its_arms_are_dealt_anew(networks):
    found = verdicts(networks)
    every = (*ON_NETWORKS, *OTHERS)
    assert {number: found[number] for number in every} == dict.fromkeys(every, REPRODUCED)
    assert sorted(itertools.chain(*PAIRS)) == sorted(ON_NETWORKS)


@pytest.mark.parametrize("pairs", [FAMILIES, WITHIN_BN])
def test_no_claim_survives_swapped_families(networks, pairs):
    found = verdicts(exchanged(networks, pairs))
    for number in ON_NETWORKS:
        if number == "12" and pairs is FAMILIES:
            continue  # an interaction of two rules is its own mirror image when both are swapped
        if pairs is WITHIN_BN and number not in ("5", "12", "14"):
            continue  # other claims do not speak of these arms
        assert found[number] in (NOT_REPRODUCED, REVERSED) or found[number].startswith(INCONCLUSIVE), number
    assert found["5"] == REVERSED


@pytest.mark.parametrize("claims", PAIRS, ids=lambda claims: claims[0])
def test_the_opposite_effect_is_called_reversed(networks, claims):
    found = verdicts(exchanged(networks, PAIRS[claims]))
    for number in set(claims) - {"13", "14"}:
        assert found[number] == REVERSED, number
    assert found["13"] == (NOT_REPRODUCED if "13" in claims else found["13"]), "its theory part still holds"
    assert found["14"].startswith(("not", INCONCLUSIVE)) or "14" not in claims


def false_claims(real, nulls, rng):
    """Claims on networks -> share of `nulls` with a false `reproduced`, arms dealt anew among all within each seed."""
    false = dict.fromkeys(ON_NETWORKS, 0)
    for null in range(nulls):
        dealt = made.on_every_study(real[null % len(real)], lambda results: made.dealt(results, rng.permutation))
        found = verdicts(dealt)
        for number in ON_NETWORKS:
            false[number] += found[number] == REPRODUCED
    return rates(false, nulls)


@pytest.mark.parametrize(("nulls", "of_sweeps"), [(NULLS, False), (FEWER, True)], ids=["studies", "sweeps"])
def test_arms_dealt_anew_within_seeds_are_rarely_called_reproduced(theory, nulls, of_sweeps):
    real = [replace(made.every_record(EIGHT, noise), theory=theory) for noise in (0.1, 1.5)]
    left = {"studies": ()} if of_sweeps else {"sweeps": ()}
    found = false_claims([replace(records, **left) for records in real], nulls, np.random.default_rng(11))
    # a true rate of 5 % would give more than 66 of 1,000, or 18 of 200, in one draw of a hundred: none is needed
    assert max(found.values()) <= MOST and (of_sweeps or min(found[n] for n in ("5", "6", "7", "9")) > 0)


def every_exchange(records, claims, n):
    """The share of false `reproduced` over all ways of exchanging a claim's arms in each seed or not."""
    pairs, false = PAIRS[claims], dict.fromkeys(claims, 0)
    records = only(records, claims, pairs)
    for chosen in itertools.product((False, True), repeat=n):
        found = verdicts(exchanged_in(records, pairs, {s for s in range(n) if chosen[s]}))
        for number in claims:
            false[number] += found[number] == REPRODUCED
    return rates(false, 2**n)


@pytest.mark.parametrize("claims", PAIRS, ids=lambda claims: claims[0])
def test_the_arms_of_a_strong_effect_exchanged_at_random_are_rarely_called_reproduced(networks, claims):
    assert 0 < max(every_exchange(networks, claims, 8).values()) <= MOST


@pytest.mark.parametrize("claims", PAIRS, ids=lambda claims: claims[0])
def test_with_four_seeds_that_is_one_in_sixteen(theory, claims):
    found = every_exchange(replace(made.every_record(range(4)), theory=theory), claims, 4)
    assert max(found.values()) == 1 / 16, found


@pytest.mark.parametrize("n", [4, 6])
def test_a_study_with_a_plan_counts_on_rates_that_are_not_too_low(theory, n):
    """What the table of such a study says of its false verdicts, for the numbers of seeds that are planned."""
    real = [replace(made.every_record(range(n), noise), theory=theory, sweeps=()) for noise in (0.1, 1.5)]
    assert max(false_claims(real, NULLS, np.random.default_rng(31)).values()) <= FALSE_REPRODUCED[n]
    networks = replace(made.every_record(range(n)), theory=theory)
    for claims in (pairs for pairs in PAIRS if {"5", "6", "7", "14"} & set(pairs)):
        assert max(every_exchange(networks, claims, n).values()) <= FALSE_REPRODUCED[n]


def test_by_number_of_seeds_the_rule_is_over_five_in_a_hundred_at_four_and_seven_only():
    false = {}
    for n in range(4, 13):
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
        ups = np.bincount((signs > 0).sum(1), minlength=n + 1)
        found = [t_interval([1.0] * k + [-1.0] * (n - k)).low > 0 for k in range(n + 1)]
        false[n] = sum(ups[found]) / 2**n
    assert {n for n, share in false.items() if share > MOST} == {4, 7} and max(false.values()) == 1 / 16
    assert HIGHEST_RATE == max(false.values()) and all(false[n] <= rate for n, rate in FALSE_REPRODUCED.items())
    assert sign_flip_p([1.0] * 4) == (0.125, 0.125)
    assert sign_flip_p([1.0] * 6 + [-1.0])[0] == 0.125


def test_a_mask_that_changes_is_rarely_called_converged():
    rng, false, nulls = np.random.default_rng(13), 0, 1000
    for _ in range(nulls):
        shares = {arm: dict(zip(EIGHT, rng.normal(0.98, 0.004, 8), strict=True)) for arm in ("imp",)}
        records = Records(sweeps=(made.mask_study({"imp": shares["imp"], "lrr": dict.fromkeys(EIGHT, 1.0)}),))
        false += verdicts(records)[MASKS] == REPRODUCED
    assert 0 < rates({MASKS: false}, nulls)[MASKS] <= MOST


def cyclic_training(rng, n, early, late, spread):
    """Records of claim 15 whose arms' difference has a known mean, in points, and a normal spread over seeds."""
    drawn = rng.normal(0, spread, (2, n)) / 100 + np.array([[early], [late]]) / 100
    found = {s: [0.9 + drawn[0, s]] * 6 + [0.9 + drawn[1, s]] * 2 for s in range(n)}
    return in_memory({"lrr": dict.fromkeys(range(n), 0.9), "cyclic-random": found})


@pytest.mark.parametrize("spread", [0.1, 1.0])
@pytest.mark.parametrize("n", [4, 8])
def test_cyclic_training_that_is_just_too_bad_is_rarely_called_as_good(spread, n):
    """15a: the true loss is .2 points, the least that matters. 15b: no true difference."""
    rng, false = np.random.default_rng(23), dict.fromkeys(("15a", "15b"), 0)
    for _ in range(NULLS):
        found = verdicts(cyclic_training(rng, n, early=-0.2, late=0.0, spread=spread))
        for number in false:
            false[number] += found[number] == REPRODUCED
    assert 0 < max(rates(false, NULLS).values()) <= MOST


def test_cyclic_training_that_is_as_good_is_called_so_where_it_is_measured_finely():
    """Without a true difference 15a is reproduced where the spread over seeds is small beside .2 points."""
    rng, found = np.random.default_rng(29), []
    for spread in (0.1, 1.0):
        drawn = [verdicts(cyclic_training(rng, 8, early=0.0, late=0.0, spread=spread)) for _ in range(FEWER)]
        found.append(sum(one[AS_GOOD] == REPRODUCED for one in drawn) / FEWER)
    if os.environ.get("PRINT"):
        print("15a reproduced without a difference, spread .1 and 1 points:", found)
    assert found[0] > 0.9 and found[1] < 0.2


# ------------------------------------------------------------------------------------------ verdicts on the neuron


def with_values(records, experiment, **values):
    result = records.theory[experiment]
    return replace(records, theory={**records.theory, experiment: replace(result, values=result.values | values)})


def theorems(records, rng):
    """Both theorems are wrong about one start in a thousand."""
    found = {n: c | {"contradictions": int(rng.binomial(c["starts"], 0.001))} for n, c in _claims(records).items()}
    return with_values(records, "theorem-check", claims=found)


def _claims(records):
    return records.theory["theorem-check"].values["claims"]


def probabilities(lrr, imp):
    """Claim 3's cells drawn with other probabilities, 2,000 trials, the difference as theory makes it."""

    def null(records, rng):
        inits = records.theory["factorial"].values["inits"]
        drawn = {"lrr": rng.random(2000) < lrr, "imp": rng.random(2000) < imp}
        cells = {rule: {"successes": int(hits.sum()), "trials": 2000} for rule, hits in drawn.items()}
        lead = paired_interval(drawn["lrr"].astype(float) - drawn["imp"])
        balanced = inits["balanced"] | cells | {"difference": {"lrr - imp": lead}}
        return with_values(records, "factorial", inits=inits | {"balanced": balanced})

    return null


def masks(records, rng):
    """IMP finds the mask as rarely as would just not do."""
    values = records.theory["pruning-iterations"].values
    found = {rule: dict(cell) for rule, cell in values["rules"].items()}
    found["imp"]["mask_recovered"] = [int(rng.binomial(values["trials"], 0.98))]
    return with_values(records, "pruning-iterations", rules=found)


def recovery(records, rng):
    """LRR finds the mask as often as IMP."""
    values = records.theory["mask-recovery"].values
    first, second = rng.random((2, 2000)) < 0.975
    lead = {"lrr - imp, recovered": paired_shares_interval(first, second)}
    return with_values(records, "mask-recovery", cells=[cell | lead for cell in values["cells"]])


def inputs(records, rng):
    """LRR learns as often as IMP, whatever the number of inputs."""
    inits = records.theory["dimension"].values["inits"]
    leads = (rng.random((2, 2000)) < 0.25).astype(float) - (rng.random((2, 2000)) < 0.25)
    found = {"overparametrisation": difference_interval(leads[0], leads[1])}
    return with_values(records, "dimension", inits=inits | {"balanced": inits["balanced"] | found})


@pytest.mark.parametrize(
    ("claims", "null"),
    [(("1", "2"), theorems), (("3",), probabilities(0.25, 0.25)), (("3",), probabilities(0.5, 0.5)),
     (("3",), probabilities(0.55, 0.25)), (("4a",), masks), (("4b",), recovery), (("13",), inputs)],
    ids=["theorems", "lrr at imp's rate", "imp at lrr's rate", "lrr at another rate", "masks", "recovery", "inputs"],
)  # fmt: skip
def test_verdicts_drawn_with_the_wrong_probability_are_rarely_called_reproduced(records, networks, claims, null):
    rng, false = np.random.default_rng(17), dict.fromkeys(claims, 0)
    widths = [study for study in networks.sweeps if study.study.swept in ("base", "width")]
    plain = replace(records, studies=(), sweeps=tuple(widths) * ("13" in claims))
    assert all(verdicts(plain)[number] == REPRODUCED for number in claims)
    for _ in range(NULLS):
        found = verdicts(null(plain, rng))
        for number in claims:
            false[number] += found[number] == REPRODUCED
    assert max(rates(false, NULLS).values()) <= MOST


def test_equal_probabilities_are_rarely_called_a_difference_on_the_neuron(records):
    rng, false = np.random.default_rng(19), 0
    for _ in range(NULLS):
        changed = probabilities(0.25, 0.25)(replace(records, studies=(), sweeps=()), rng)
        row = next(v for v in evaluate(changed) if v.id == "3").rows[0]
        false += row.verdict == REPRODUCED
    assert 0 < rates({"3": false}, NULLS)["3"] <= MOST
