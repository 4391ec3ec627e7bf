"""The claim ledger: a verdict for each testable sentence of the paper, by a rule fixed before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ldct.claims.measures import Comparison, Outcome, Source, compare
from ldct.common.errors import InputError
from ldct.common.files import read_json
from ldct.common.schema import read_valid, validate
from ldct.runs.tables import NotMeasuredError
from ldct.statistics.adversary import adversary_auc, adversary_state
from ldct.statistics.uncertainty import holm

Verdict = Literal["supported", "not supported", "undecided", "not measured", "not testable"]
VERDICTS = get_args(Verdict)
Found = Sequence[tuple[Outcome, float | None]]  # of each comparison: outcome and p value


@dataclass(frozen=True)
class Finding:
    """A claim with what was measured.

    leaning : the verdict before the correction for the number of claims, a number that lacks its
    interval standing for it. p_value, p_holm : before and after that correction; None where nothing
    was sampled. missing : why parts could not be measured, or the claim not be tested.
    """

    claim: Mapping[str, Any]
    verdict: Verdict
    leaning: Verdict
    p_value: float | None
    p_holm: float | None
    comparisons: Sequence[Comparison]
    missing: Sequence[str]

    @property
    def reason(self) -> str:
        """Why the verdict is no plain yes or no; empty where it is."""
        if self.verdict in ("not measured", "not testable"):
            return "; ".join(self.missing)
        if self.verdict != "undecided" or self.leaning == "undecided":
            return ""
        thin = [each for each in self.comparisons if each.lacks_interval]
        why = extent(thin[0]) if thin else "not after Holm's correction"
        return f"leans to {self.leaning}: {why}"


def load_claims(path: Path) -> dict[str, Any]:
    """Source, rule and claims of a file, each claim with its `heading`.

    Raises InputError naming the file and the key.
    """
    content = read_valid(path, "claims")
    claims = [
        {"heading": heading} | claim
        for heading, group in content["claims"].items()
        for claim in group
    ]
    names = [claim["id"] for claim in claims]
    for claim in claims:
        if names.count(claim["id"]) > 1:
            raise InputError(f"{path}: id {claim['id']} stands twice; expected each once")
        places = 1 + sum(len(part.get("references", [None])) for part in claim["parts"])
        if claim.get("rank", 1) > places:
            raise InputError(
                f"{path}: claim {claim['id']}: key 'rank': found {claim['rank']}, expected a place "
                f"among {places}"
            )
    return content | {"claims": claims}


def judge_claims(claims: Sequence[Mapping[str, Any]], source: Source) -> list[Finding]:
    """Measure every claim and give all of them their verdicts together."""
    idle = [idle_adversaries(claim, source) for claim in claims]
    measured = [
        ([], why) if why else _measure(claim, source)
        for claim, why in zip(claims, idle, strict=True)
    ]
    weighed = [
        weigh(claim, [(each.outcome, each.p_value) for each in found], len(missing))
        for claim, (found, missing) in zip(claims, measured, strict=True)
    ]
    tested = [number for number, (_, p) in enumerate(weighed) if p is not None]
    corrected = dict(zip(tested, holm([weighed[number][1] for number in tested]), strict=True))
    findings = []
    for number, (claim, (found, missing)) in enumerate(zip(claims, measured, strict=True)):
        verdict, p = weighed[number]
        leaning, _ = weigh(claim, [(each.leaning, each.p_value) for each in found], len(missing))
        decided = verdict in ("supported", "not supported")
        if decided and corrected.get(number, 0) >= 1 - source.confidence:
            verdict = "undecided"
        if idle[number]:
            verdict = leaning = "not testable"
        p_holm = corrected.get(number)
        findings.append(Finding(claim, verdict, leaning, p, p_holm, found, missing))
    return findings


def idle_adversaries(claim: Mapping[str, Any], source: Source) -> list[str]:
    """Which rows of a claim that `needs: adversary` have none at work, in words, with the AUC."""
    if claim.get("needs") != "adversary":
        return []
    parts = claim["parts"]
    names = [name for part in parts for name in (part.get("method"), *part.get("references", []))]
    found = {name: adversary_auc(source.run, source.settings, name) for name in names}
    return [
        f"adversary of {source.settings['cards'][name]['title']} not at work: AUC {auc:.2f} of "
        "real against generated tiles"
        for name, auc in found.items()
        if auc is not None and adversary_state(auc) == "not at work"
    ]


def _measure(claim: Mapping[str, Any], source: Source) -> tuple[list[Comparison], list[str]]:
    comparisons, missing = [], []
    for part in claim["parts"]:
        for reference in part.get("references", [None]):
            try:
                comparisons.append(compare(part, reference, source))
            except NotMeasuredError as reason:
                missing.append(str(reason))
    return comparisons, list(dict.fromkeys(missing))


def weigh(
    claim: Mapping[str, Any], found: Found, n_missing: int = 0
) -> tuple[Verdict, float | None]:
    """What the comparisons say together, with the p value of it.

    All parts must hold (or, for `rank: r`, exactly r - 1 must go against the claim): the p value
    of a support is the largest of the parts. One part too many against the claim refutes it: that
    p value is the smallest that would do, times the number of parts. A number that was not sampled
    has none: its margin takes the p's place. Where something is missing a claim can be refuted, but
    not supported.
    """
    rank, count = claim.get("rank", 1), len(found) + n_missing
    worse = sorted(p or 0.0 for outcome, p in found if outcome == "against")
    better = sorted(p or 0.0 for outcome, p in found if outcome == "for")
    sampled = [p for _, p in found if p is not None]
    refuting = [
        p_values[needed - 1]
        for p_values, needed in ((worse, rank), (better, count - rank + 2))
        if len(p_values) >= needed
    ]
    if refuting:
        return "not supported", min(1.0, count * min(refuting)) if sampled else None
    if n_missing:
        return "not measured", None
    holds = len(worse) == rank - 1 and len(worse) + len(better) == count
    return "supported" if holds else "undecided", max(sampled, default=None)


def extent(comparison: Comparison) -> str:
    """What a comparison was sampled over, in words: "one scan, one training", "counted"."""
    words = {
        "patients": _counted(comparison.n_patients, "scan"),
        "discs": "discs in one scan, their low dose simulated",
        "repeats": "repeats on this machine",
        "one timing": "one timing each on this machine",
        "one measurement": "measured once on this machine",
        "count": "counted",
    }[comparison.basis]
    trainings = _counted(comparison.n_seeds, "training") if comparison.n_seeds else ""
    return ", ".join(filter(None, [words, trainings]))


def _counted(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def ledger(
    findings: Sequence[Finding], claims: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    """The ledger as plain data, as `claims.json` holds it (claims_ledger.schema.yaml).

    context : run, dataset, simulated (bool), protocol, budget, credit: what the head names.
    """
    verdicts = [finding.verdict for finding in findings]
    told = ("id", "heading", "statement", "quotation", "place", "reading")
    return {
        "source": claims["source"],
        "context": dict(context),
        "rule": dict(claims["rule"]),
        "counts": {verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "claims": [
            {
                **{key: finding.claim[key] for key in told},
                "margin_why": finding.claim.get("margin_why"),
                "rank": finding.claim.get("rank", 1),
                "verdict": finding.verdict,
                "leaning": finding.leaning,
                "reason": finding.reason,
                "scope": "; ".join(dict.fromkeys(map(extent, finding.comparisons))),
                "p_value": finding.p_value,
                "p_holm": finding.p_holm,
                "comparisons": [
                    {**asdict(each), "outcome": each.outcome, "leaning": each.leaning}
                    for each in finding.comparisons
                ],
                "missing": finding.missing,
            }
            for finding in findings
        ],
    }


def verdicts_of(path: Path) -> dict[str, str]:
    """Claim to verdict of a stored ledger. Raises InputError where the file is none."""
    stored = read_json(path)
    validate(stored, "claims_ledger", str(path))
    return {claim["id"]: claim["verdict"] for claim in stored["claims"]}


def changed_verdicts(found: Mapping[str, Any], expected: Mapping[str, str]) -> list[str]:
    """One line for every claim of a ledger whose verdict is not the expected one."""
    now = {claim["id"]: claim["verdict"] for claim in found["claims"]}
    lines = []
    for name in {**expected, **now}:
        before, after = (each.get(name, "no such claim") for each in (expected, now))
        if before != after:
            lines.append(f"{name}: {before} -> {after}")
    return lines
