"""The claim ledger: a verdict for each testable sentence of the paper, by a rule fixed before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ldct.errors import InputError
from ldct.evaluation.claims_measures import compare
from ldct.evaluation.claims_types import Comparison, Source
from ldct.evaluation.run_tables import NotMeasuredError
from ldct.evaluation.uncertainty import holm
from ldct.files import read_json, read_yaml
from ldct.schema import validate

VERDICTS = ("supported", "not supported", "undecided", "not measured")
Verdict = Literal["supported", "not supported", "undecided", "not measured"]


@dataclass(frozen=True)
class Finding:
    """A claim with what was measured.

    leaning : what the intervals say before the correction for the number of claims.
    p_value, p_holm : of the leaning, before and after that correction; None where nothing was
    sampled. missing : why parts could not be measured.
    """

    claim: Mapping[str, Any]
    verdict: Verdict
    leaning: Verdict
    p_value: float | None
    p_holm: float | None
    comparisons: Sequence[Comparison]
    missing: Sequence[str] = field(default=())

    @property
    def reason(self) -> str:
        """Why the verdict is no plain yes or no; empty where it is."""
        if self.verdict == "not measured":
            return "; ".join(dict.fromkeys(self.missing))
        if self.verdict == "undecided" and self.leaning != "undecided":
            return f"{self.leaning} by its own intervals, not after Holm's correction"
        return ""


def load_claims(path: Path) -> dict[str, Any]:
    """Read and check a file of claims. Raises InputError naming the file and the key."""
    claims = read_yaml(path)
    validate(claims, "claims", str(path))
    names = [claim["id"] for claim in claims["claims"]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: key 'claims': id {twice[0]} stands twice; expected each once")
    for claim in claims["claims"]:
        others = sum(len(part.get("references", [None])) for part in claim["parts"])
        if claim.get("rank", 1) > others + 1:
            raise InputError(
                f"{path}: claim {claim['id']}: key 'rank': found {claim['rank']}, expected a place "
                f"among {others + 1}"
            )
    return claims


def judge_claims(claims: Mapping[str, Any], source: Source) -> list[Finding]:
    """Measure every claim and give all of them their verdicts together."""
    measured = [_measure(claim, source) for claim in claims["claims"]]
    level = 1 - source.confidence
    weighed = [weigh(*each) for each in measured]
    tested = [number for number, (_, p) in enumerate(weighed) if p is not None]
    corrected = dict(zip(tested, holm([weighed[number][1] for number in tested]), strict=True))
    findings = []
    for number, ((claim, comparisons, missing), (leaning, p)) in enumerate(
        zip(measured, weighed, strict=True)
    ):
        verdict = leaning
        if leaning in ("supported", "not supported") and corrected.get(number, 0) >= level:
            verdict = "undecided"
        findings.append(
            Finding(claim, verdict, leaning, p, corrected.get(number), comparisons, missing)
        )
    return findings


def _measure(
    claim: Mapping[str, Any], source: Source
) -> tuple[Mapping[str, Any], list[Comparison], list[str]]:
    comparisons, missing = [], []
    for part in claim["parts"]:
        for reference in part.get("references", [None]):
            try:
                comparisons.append(compare(part, reference, source))
            except NotMeasuredError as reason:
                missing.append(str(reason))
    return claim, comparisons, missing


def weigh(
    claim: Mapping[str, Any], comparisons: Sequence[Comparison], missing: Sequence[str]
) -> tuple[Verdict, float | None]:
    """What the comparisons say together, with the p value of it.

    All parts must hold (or, for `rank: r`, exactly r - 1 must go against the claim): the p value
    of a support is the largest of the parts. One part too many against the claim refutes it: that
    p value is the smallest that would do, times the number of parts. Where something is missing a
    claim can be refuted, but not supported.
    """
    rank = claim.get("rank", 1)
    count = len(comparisons) + len(missing)
    worse = sorted(_p(each) for each in comparisons if each.outcome == "against")
    better = sorted(_p(each) for each in comparisons if each.outcome == "for")
    sampled = any(each.p_value is not None for each in comparisons)
    refuting = [
        found[needed - 1]
        for found, needed in ((worse, rank), (better, count - rank + 2))
        if len(found) >= needed
    ]
    if refuting:
        return "not supported", min(1.0, count * min(refuting)) if sampled else None
    if missing:
        return "not measured", None
    every = max(map(_p, comparisons)) if sampled else None
    if len(worse) == rank - 1 and len(worse) + len(better) == count:
        return "supported", every
    return "undecided", every


def _p(comparison: Comparison) -> float:
    """A number that was counted, or timed once, is not sampled: its margin takes the p's place."""
    return 0.0 if comparison.p_value is None else comparison.p_value


def count_verdicts(findings: Sequence[Finding]) -> dict[str, int]:
    """Verdict to number of claims, all four in order."""
    found = [finding.verdict for finding in findings]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def place_interval(finding: Finding) -> list[int] | None:
    """Best and worst place of the method among its references, where the claim names a place.

    By the intervals of the comparisons, before any correction for their number.
    """
    if "rank" not in finding.claim or not finding.comparisons:
        return None
    outcomes = [each.outcome for each in finding.comparisons]
    return [1 + outcomes.count("against"), 1 + len(outcomes) - outcomes.count("for")]


def scope_of(finding: Finding) -> str:
    """What the verdict speaks of, in words: never more than what was sampled."""
    return "; ".join(dict.fromkeys(_scope(each) for each in finding.comparisons))


def _scope(comparison: Comparison) -> str:
    return ", ".join(filter(None, [_sampled(comparison), _trainings(comparison.n_seeds)]))


def _sampled(comparison: Comparison) -> str:
    slices, patients = comparison.n_slices, comparison.n_patients
    if comparison.basis == "patients":
        return f"over {patients} patients, {slices} slices"
    if comparison.basis == "slices":
        whose = "this patient's" if patients == 1 else f"these {patients} patients'"
        return f"on {whose} {slices} slices"
    return {
        "discs": "on discs inserted into the test slices, whose low dose this suite simulated",
        "repeats": "on repeats of one small benchmark on this machine",
        "one timing": "one timing each on this machine",
        "one measurement": "measured once on this machine",
        "count": "counted",
    }[comparison.basis]


def _trainings(n_seeds: int) -> str:
    """Where no method was trained, or no image measured, there is no seed to name."""
    return f"{n_seeds} training seed{'s' if n_seeds > 1 else ''}" if n_seeds else ""


def on_simulated_dose(finding: Finding, simulated: bool) -> bool:
    """Whether a number rests on images of simulated dose.

    simulated : of the data. The low dose of inserted discs is simulated whatever the data; counted
    and timed numbers rest on no image.
    """
    bases = {each.basis for each in finding.comparisons}
    return "discs" in bases or (simulated and not bases.isdisjoint({"slices", "patients"}))


def metrics_of(claim: Mapping[str, Any]) -> list[str]:
    """Metrics that a claim is measured with, each once."""
    found = [part.get("metric") for part in claim["parts"]]
    found += ["d_prime" for part in claim["parts"] if part["kind"] == "detectability"]
    return [metric for metric in dict.fromkeys(found) if metric is not None]


def ledger(
    findings: Sequence[Finding],
    claims: Mapping[str, Any],
    context: Mapping[str, Any],
    controls: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The ledger as plain data, as `claims.json` holds it (claims_ledger.schema.yaml).

    context : run, dataset, simulated (bool), protocol, budget, credit: what the head names.
    controls : metric to `flagged`, `reason` and `note`, the entry "metrics" of controls.json; empty
        where the run has no controls.
    """
    used = dict.fromkeys(metric for finding in findings for metric in metrics_of(finding.claim))
    flagged = [metric for metric in used if controls.get(metric, {}).get("flagged")]
    return {
        "source": claims["source"],
        "context": dict(context),
        "rule": dict(claims["rule"]),
        "counts": count_verdicts(findings),
        "controls": {
            metric: {key: controls[metric][key] for key in ("flagged", "reason", "note")}
            for metric in used
            if metric in controls
        },
        "claims": [
            {
                **{key: finding.claim[key] for key in ("id", "quotation", "place", "reading")},
                "margin_why": finding.claim.get("margin_why"),
                "rank": finding.claim.get("rank", 1),
                "place_found": place_interval(finding),
                "verdict": finding.verdict,
                "leaning": finding.leaning,
                "scope": scope_of(finding),
                "simulated_dose": on_simulated_dose(finding, context["simulated"]),
                "flagged_metrics": [name for name in metrics_of(finding.claim) if name in flagged],
                "reason": finding.reason,
                "p_value": finding.p_value,
                "p_holm": finding.p_holm,
                "comparisons": [
                    {**asdict(each), "outcome": each.outcome} for each in finding.comparisons
                ],
                "missing": list(dict.fromkeys(finding.missing)),
            }
            for finding in findings
        ],
    }


def verdicts_of(path: Path) -> dict[str, str]:
    """Claim to verdict of a stored ledger. Raises InputError where the file is none."""
    try:
        stored = read_json(path)
    except ValueError:
        raise InputError(f"{path}: not JSON; expected a claims.json") from None
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
