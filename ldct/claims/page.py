"""The claim ledger as Markdown and HTML: a line for each claim, which unfolds; numbers as in JSON.

Both are the same markup: Markdown shows HTML that has no empty line in it as it is.
"""

from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any

from ldct.rendering.columns import Formula
from ldct.rendering.numbers import bounds, counted, number, p_text, signed
from ldct.rendering.page import escape_markdown, html_line, html_page
from ldct.runs.formulas import formula_of

TITLE = "Claims of the paper, tested"
SIGNS = {
    "supported": "✓",
    "contradicted": "✗",
    "practically equal": "=",
    "undecided": "?",
    "not judged at this budget": "○",
    "not testable": "∅",
    "depends on the reading": "⇄",
    "not measured": "–",
}
VERDICTS = list(SIGNS)[:4]
STATES = {"passed": "✓", "failed": "✗", "not measured": "–"}
OUTCOMES = {"for": "holds", "against": "excluded", "equal": "practically equal", "open": "open"}
STYLE = """\
details { border-top: 1px solid #ccc; padding: .25rem 0 .25rem 1.4rem; max-width: 62rem; }
summary { margin-left: -1.4rem; cursor: pointer; font-variant-numeric: tabular-nums; }
summary b { display: inline-block; width: 1.4rem; text-align: center; }
blockquote { margin: .4rem 0; font-style: italic; }
ul { margin: .4rem 0; padding-left: 1.2rem; font-size: .9rem; }
"""
Claim = Mapping[str, Any]
Titles = Mapping[str, str]


def to_html(ledger: Mapping[str, Any], titles: Titles) -> str:
    """One self-contained page.

    ledger : as `ldct.claims.judge.ledger` returns it. titles : method to printed name.
    """
    parts = [f"<h1>{TITLE}</h1>", *map(html_line, caption(ledger)), *_body(ledger, titles)]
    return html_page(TITLE, "\n".join(parts), STYLE)


def to_markdown(ledger: Mapping[str, Any], titles: Titles) -> str:
    """The same page as Markdown."""
    parts = [f"# {TITLE}", *map(escape_markdown, caption(ledger)), *_body(ledger, titles)]
    return "\n\n".join(parts) + "\n"


def caption(ledger: Mapping[str, Any]) -> list[str]:
    """Lines that a reader needs before any verdict: the counts, and what they rest on."""
    context, checks = ledger["context"], ledger["checks"]
    counts = [
        f"{sign} {ledger['counts'][name]} {name}"
        for name, sign in SIGNS.items()
        if ledger["counts"][name] or name in VERDICTS
    ]
    tests = sum(claim["p_value"] is not None for claim in ledger["claims"])
    level = 1 - ledger["rule"]["confidence"]
    chance = f" {counted(tests, 'test')} at {level:.0%}, each for itself." if tests else ""
    passed = sum(check["state"] == "passed" for check in checks)
    state = f" Checks of the pipeline: {passed} of {len(checks)} passed." if checks else ""
    dose = ", simulated low dose" if context["simulated"] else ""
    return [
        f"{', '.join(counts)}.{chance}{state}",
        f"{context['dataset']}{dose}; {context['budget']}; seeds {context['seeds']}; protocol: "
        f"{context['protocol']}.",
        *context.get("slices", []),
    ]


def _body(ledger: Mapping[str, Any], titles: Titles) -> list[str]:
    """Blocks of markup, none with an empty line in it."""
    blocks = []
    for heading, claims in groupby(ledger["claims"], lambda claim: claim["heading"]):
        blocks.append(f"<h2>{escape(heading)}</h2>")
        blocks += [_claim(claim, titles) for claim in claims]
    checks = [_check(check, titles) for check in ledger["checks"]]
    blocks += ["<h2>Checks of the pipeline</h2>", *checks] if checks else []
    sources = f"{ledger['source']}. Run {ledger['context']['run']}. {ledger['context']['credit']}"
    return [
        *blocks,
        "<h2>Rule and sources</h2>",
        *map(html_line, [ledger["rule"]["verdicts"], sources]),
    ]


def _check(check: Mapping[str, Any], titles: Titles) -> str:
    told = [*(_measured(each, titles) for each in check["comparisons"]), *check["missing"]]
    return html_line(f"{STATES[check['state']]} {check['statement']} · {'; '.join(told)}")


def _claim(claim: Claim, titles: Titles) -> str:
    summary = f"<b>{SIGNS[claim['verdict']]}</b> {escape(claim['statement'])}"
    told = deciding_text(claim, titles)
    lines = [
        f'<details id="{claim["id"]}">',
        f"<summary>{summary}{escape(f' · {told}' if told else '')}</summary>",
        f"<blockquote>“{escape(claim['quotation'])}” {escape(claim['place'])}</blockquote>",
        html_line(reading_text(claim)),
        "<ul>",
        *(f"<li>{escape(line)}</li>" for line in measured_lines(claim, titles)),
        "</ul>",
        html_line(verdict_text(claim)),
        "</details>",
    ]
    return "\n".join(" ".join(line.split()) for line in lines)


def reading_text(claim: Claim) -> str:
    """How the sentence is read, and why a bound of its own."""
    bound = f" Bound: {claim['bound_why']}." if claim["bound_why"] else ""
    return f"Read as: {claim['reading']}{bound}"


def measured_lines(claim: Claim, titles: Titles) -> list[str]:
    """A line for each comparison, and for each that is missing why."""
    why = "not testable" if claim["verdict"] == "not testable" else "not measured"
    missing = [f"{why}: {reason}" for reason in claim["missing"]]
    return [*(describe(each, titles) for each in claim["comparisons"]), *missing]


def verdict_text(claim: Claim) -> str:
    """The verdict with its reason, what it rests on, and its p value where there is one."""
    tested = ""
    if claim["p_value"] is not None:
        tested = f"; p {p_text(claim['p_value'])}, q {p_text(claim['q_value'])}"
    reason = f" ({claim['reason']})" if claim["reason"] else ""
    return f"{claim['verdict']}{reason}. Rests on: {claim['scope'] or 'nothing'}{tested}."


def deciding_text(claim: Claim, titles: Titles) -> str:
    """Behind the statement: the number that made the verdict, and which way an open one leans."""
    if claim["verdict"] in ("not measured", "not testable"):
        return claim["verdict"]
    text = _measured(deciding(claim), titles)
    if claim["verdict"] not in VERDICTS:
        return f"{text} · {claim['verdict']}"
    return f"{text} · leans to {SIGNS[claim['leaning']]}" if "leans" in claim["reason"] else text


def deciding(claim: Claim) -> Mapping[str, Any]:
    """The comparison that made the verdict, for the claim's line.

    What speaks most against the claim; the r-th of these where it claims place r. Differences count
    in margins. A counted number that holds decides nothing beside a sampled one.
    """

    def against(each: Mapping[str, Any]) -> tuple[int, bool, float]:
        sign = 1 if each["better"] == "higher" else -1
        order = ("against", "open", "equal", "for").index(each["leaning"])
        beyond = sign * (each["estimate"] - each["bound"]) / (each["margin"] or 1.0)
        return order, each["basis"] == "count", beyond

    ordered = sorted(claim["comparisons"], key=against)
    return ordered[min(claim["rank"], len(ordered)) - 1]


def describe(comparison: Mapping[str, Any], titles: Titles) -> str:
    """One comparison with its bound and margin, its raw counts, and what that means."""
    side = "above" if comparison["better"] == "higher" else "below"
    claimed = f"claimed {side} {_short(comparison['bound'])}"
    if comparison["margin"] is not None:
        claimed += f", margin {_short(comparison['margin'])}"
    found = (comparison["counts"] or {}).items()
    counts = ", ".join(f"{held} of {n} {unit}" for unit, (held, n) in found)
    raw = f"; {side} in {counts}" if counts else ""
    reading = f"; {comparison['reading']}" if comparison["reading"] else ""
    outcome = OUTCOMES[comparison["outcome"]]
    return f"{_measured(comparison, titles)}{raw}{reading} ({claimed}: {outcome})"


def _measured(comparison: Mapping[str, Any], titles: Titles) -> str:
    """What was compared, the number and its interval."""
    ratio, (_, digits) = comparison["form"] == "ratio", _form(comparison)
    further = "".join(
        f", over {each['n']:.0f} {each['unit']} {bounds(each['lower'], each['upper'], digits)}"
        for each in comparison["tests"]
        if each["unit"] != "patients"
    )
    method, reference = (
        titles.get(comparison[role], comparison[role]) for role in ("method", "reference")
    )
    names = f"{method} {'over' if ratio else '−'} {reference}"
    return f"{measure_text(comparison)}, {names}: {value_text(comparison)}{further}"


def measure_text(comparison: Mapping[str, Any]) -> str:
    """What was measured: the title of the metric, and which of several it is."""
    _, _, detail = comparison["metric"].partition(" ")
    return f"{_form(comparison)[0].title} {detail}".strip()


def value_text(comparison: Mapping[str, Any]) -> str:
    """The number with its unit, and its interval over patients where there is one."""
    ratio, (formula, digits) = comparison["form"] == "ratio", _form(comparison)
    value = (number if ratio else signed)(comparison["estimate"], digits)
    over = (
        bounds(each["lower"], each["upper"], digits)
        for each in comparison["tests"]
        if each["unit"] == "patients"
    )
    return " ".join(filter(None, [value, *over, "" if ratio else formula.unit]))


def _form(comparison: Mapping[str, Any]) -> tuple[Formula, int]:
    """Formula of the metric, and digits after the point."""
    formula = formula_of(comparison["metric"].partition(" ")[0])
    return formula, 2 if comparison["form"] == "ratio" else formula.digits


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
