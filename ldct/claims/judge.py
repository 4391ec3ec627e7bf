"""The claim ledger: a verdict for each testable sentence of the paper, by a rule fixed before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from scipy import stats

from ldct.claims.comparison import Comparison, Outcome
from ldct.claims.measures import Source, compare, readings_of
from ldct.common.errors import InputError
from ldct.common.files import read_json
from ldct.common.schema import read_valid, validate
from ldct.runs.tables import NotMeasuredError
from ldct.statistics.adversary import adversary_auc, adversary_state

Verdict = Literal[
    "supported",
    "contradicted",
    "practically equal",
    "undecided",
    "not judged at this budget",
    "not testable",
    "depends on the reading",
    "not measured",
]
VERDICTS = get_args(Verdict)
DECIDED = VERDICTS[:3]
Found = Sequence[tuple[Outcome, float | None]]  # of each comparison: outcome and p value


@dataclass(frozen=True)
class Finding:
    """A claim with what was measured.

    leaning : what tests of places in one scan, or of trainings on it, say where the verdict lacks
        patients; else the verdict. p_value : of the claim; None where nothing was tested. missing :
        why parts could not be measured, or the claim not be tested.
    """

    claim: Mapping[str, Any]
    verdict: Verdict
    leaning: Verdict
    p_value: float | None
    comparisons: Sequence[Comparison]
    missing: Sequence[str]

    @property
    def reason(self) -> str:
        """Why the verdict is no plain one; empty where it is."""
        if self.verdict in ("not measured", "not testable"):
            return "; ".join(self.missing)
        if self.verdict == "not judged at this budget":
            return "; ".join(
                dict.fromkeys(filter(None, (each.withheld for each in self.comparisons)))
            )
        thin = [each for each in self.comparisons if each.sampled and each.n_patients < 3]
        thin = [each for each in thin if each.basis != "repeats"]
        if self.verdict != "undecided" or not thin:
            return ""
        if self.leaning != "undecided":
            return f"leans to {self.leaning}: {extent(thin[0])}"
        return f"{extent(thin[0])}: a direction, no test over patients"


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
    return {"checks": []} | content | {"claims": claims}


def judge_claims(claims: Sequence[Mapping[str, Any]], source: Source) -> list[Finding]:
    """Measure every claim and give it its verdict; each is a question of its own."""
    return [_judge(claim, source) for claim in claims]


def _judge(claim: Mapping[str, Any], source: Source) -> Finding:
    if idle := idle_adversaries(claim, source):
        return Finding(claim, "not testable", "not testable", None, [], idle)
    found, missing = _measure(claim, source)
    level = 1 - source.rule["confidence"]
    verdicts = []
    for reading in dict.fromkeys(name for part in claim["parts"] for name in readings_of(part)):
        own = [each for each in found if each.reading in ("", reading)]
        n_missing = sum(name in ("", reading) for _, name in missing)
        verdict, p_value = weigh(claim, _numbers(own, "outcome"), n_missing, level)
        leaning, _ = weigh(claim, _numbers(own, "leaning"), n_missing, level)
        if verdict == "undecided" and any(each.withheld for each in own):
            verdict = "not judged at this budget"
        verdicts.append((verdict, leaning if verdict == "undecided" else verdict, p_value))
    reasons = list(dict.fromkeys(reason for reason, _ in missing))
    names = {verdict for verdict, *_ in verdicts}
    if len(names) > 1:
        unknown = "not measured" if "not measured" in names else "depends on the reading"
        verdicts = [(unknown, unknown, None)]
    return Finding(claim, *verdicts[0], found, reasons)


def _numbers(found: Sequence[Comparison], key: str) -> Found:
    return [(getattr(each, key), each.p_value) for each in found]


def q_values(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini-Hochberg q of each p value, for who takes all claims as one family.

    >>> q_values([0.01, None, 0.04, 0.03])
    [0.03, None, 0.04, 0.04]
    """
    known = [p for p in p_values if p is not None]
    found = iter(stats.false_discovery_control(known).tolist() if known else [])
    return [None if p is None else next(found) for p in p_values]


def check_pipeline(checks: Sequence[Mapping[str, Any]], source: Source) -> list[dict[str, Any]]:
    """What must hold on any data, or the run is broken: passed, failed or not measured.

    A check is a part of a claim with `id` and `statement`; its numbers alone are looked at.
    """
    rows = []
    for check in checks:
        found, missing = _measure(check, source)
        held = all(each.beyond > 0 for each in found)
        state = "not measured" if missing or not found else "passed" if held else "failed"
        row = {"id": check["id"], "statement": check["statement"], "state": state}
        reasons = [reason for reason, _ in missing]
        rows.append(row | {"comparisons": list(map(_as_data, found)), "missing": reasons})
    return rows


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


def _measure(
    claim: Mapping[str, Any], source: Source
) -> tuple[list[Comparison], list[tuple[str, str]]]:
    """All numbers of a claim; why some are missing, each with its reading."""
    comparisons, missing = [], []
    for part in claim["parts"]:
        for reference in part.get("references", [None]):
            for reading in readings_of(part):
                try:
                    comparisons.append(compare(part, reference, source, reading))
                except NotMeasuredError as reason:
                    missing.append((str(reason), reading))
    return comparisons, missing


def weigh(
    claim: Mapping[str, Any], found: Found, n_missing: int = 0, level: float = 0.05
) -> tuple[Verdict, float | None]:
    """What the comparisons say together, with the p value of it.

    All parts must hold (or, for `rank: r`, exactly r - 1 must go against the claim): the p value
    of a support is the largest of the parts. One part too many against the claim contradicts it:
    that p value is the smallest that would do, times the number of parts, and has to be below
    `level`. Practically equal: every part is decided, none goes too far against the claim, and in
    some there is no difference that matters. A number that was counted has no p value. Where
    something is missing a claim can be contradicted, but not supported.
    """
    rank, count = claim.get("rank", 1), len(found) + n_missing
    worse = sorted(p or 0.0 for outcome, p in found if outcome == "against")
    better = sorted(p or 0.0 for outcome, p in found if outcome == "for")
    tested = [p for _, p in found if p is not None]
    contradicting = [
        p_values[needed - 1]
        for p_values, needed in ((worse, rank), (better, count - rank + 2))
        if len(p_values) >= needed
    ]
    if contradicting:
        p_value = min(1.0, count * min(contradicting))
        if p_value < level:
            return "contradicted", p_value if tested else None
    if n_missing:
        return "not measured", None
    p_value = max(tested, default=None)
    if contradicting or not found or any(outcome == "open" for outcome, _ in found):
        return "undecided", p_value
    exact = len(worse) == rank - 1 and len(worse) + len(better) == count
    return "supported" if exact else "practically equal", p_value


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
    findings: Sequence[Finding],
    checks: Sequence[Mapping[str, Any]],
    claims: Mapping[str, Any],
    context: Mapping[str, Any],
) -> dict[str, Any]:
    """The ledger as plain data, as `claims.json` holds it (claims_ledger.schema.yaml).

    checks : of `check_pipeline`. context : run, dataset, simulated (bool), protocol, budget,
    credit: what the head names.
    """
    verdicts = [finding.verdict for finding in findings]
    told = ("id", "heading", "statement", "quotation", "place", "reading")
    q_of = q_values([finding.p_value for finding in findings])
    return {
        "source": claims["source"],
        "context": dict(context),
        "rule": dict(claims["rule"]),
        "counts": {verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "checks": list(checks),
        "claims": [
            {
                **{key: finding.claim[key] for key in told},
                "bound_why": finding.claim.get("bound_why"),
                "rank": finding.claim.get("rank", 1),
                "verdict": finding.verdict,
                "leaning": finding.leaning,
                "reason": finding.reason,
                "scope": "; ".join(dict.fromkeys(map(extent, finding.comparisons))),
                "p_value": finding.p_value,
                "q_value": q_value,
                "comparisons": list(map(_as_data, finding.comparisons)),
                "missing": finding.missing,
            }
            for finding, q_value in zip(findings, q_of, strict=True)
        ],
    }


def _as_data(comparison: Comparison) -> dict[str, Any]:
    return asdict(comparison) | {"outcome": comparison.outcome, "leaning": comparison.leaning}


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
