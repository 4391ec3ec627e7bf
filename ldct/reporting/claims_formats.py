"""The claim ledger as Markdown and HTML; the numbers are those of claims.json."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment

from ldct.evaluation.formulas import formula_of
from ldct.reporting.plain_table import escape_markdown

FLAG = "⚑"
OUTCOMES = {"for": "holds", "against": "excluded", "open": "open"}
HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Claims – {{ ledger.context.run }}</title>
<style>
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: #fff; color: #111;
  font: 16px/1.45 "Times New Roman", Times, "Liberation Serif", serif; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; }
p { margin: .4rem 0; }
.counts { display: flex; flex-wrap: wrap; gap: .5rem 1.6rem; margin: .8rem 0; padding: 0; }
.counts li { list-style: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; border-top: 2px solid #111;
  border-bottom: 2px solid #111; }
th, td { text-align: left; vertical-align: top; padding: .5rem .7rem; }
thead th { font-weight: normal; font-style: italic; border-bottom: 1px solid #111; }
tbody tr + tr { border-top: 1px solid #ccc; }
td:first-child { width: 40%; }
blockquote { margin: 0; }
td ul { margin: 0; padding-left: 1.1rem; font-variant-numeric: tabular-nums; }
.place, .scope, .paper, .rule { color: #444; font-size: .9rem; }
.verdict { font-weight: bold; white-space: nowrap; }
.supported { color: #14602f; }
.not-supported { color: #a01414; }
.undecided { color: #7a5200; }
.not-measured { color: #555; }
</style>
</head>
<body>
<h1>Claims of the paper, tested</h1>
<p>{{ ledger.source }}.</p>
<ul class="counts">
{% for verdict, count in ledger.counts.items() %}
<li><span class="verdict {{ verdict | replace(' ', '-') }}">{{ count }} {{ verdict }}</span></li>
{% endfor %}
</ul>
{% for line in notes %}
<p>{{ line }}</p>
{% endfor %}
<div class="wide"><table>
<thead><tr><th>Claim, and how it is read</th><th>Measured</th><th>Verdict</th></tr></thead>
<tbody>
{% for claim in ledger.claims %}
<tr id="{{ claim.id }}">
<td><blockquote>“{{ claim.quotation }}”</blockquote>
<p class="place">{{ claim.place }} · {{ claim.id }}</p>
<p>{{ claim.reading }}</p>
{% if claim.margin_why %}<p class="rule">Margin: {{ claim.margin_why }}.</p>{% endif %}</td>
<td><ul>
{% for line in measured(claim) %}<li>{{ line }}</li>
{% endfor %}</ul></td>
<td><span class="verdict {{ claim.verdict | replace(' ', '-') }}">{{ claim.verdict }}</span>
{% if claim.reason %}<p class="scope">{{ claim.reason }}.</p>{% endif %}
<p class="scope">{{ scope(claim) }}</p></td>
</tr>
{% endfor %}
</tbody>
</table></div>
{% if controls %}
<p>What the controls say of the metrics:</p>
<ul>{% for line in controls %}<li class="rule">{{ line }}.</li>
{% endfor %}</ul>
{% endif %}
{% for verdict, text in rules.items() %}
<p class="rule"><b>{{ verdict }}</b>: {{ text }}.</p>
{% endfor %}
<p class="rule">{{ ledger.context.credit }} Run: {{ ledger.context.run }}.</p>
</body>
</html>
"""


def to_markdown(ledger: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Counts and notes, a table of verdicts, then each claim with all that was measured.

    ledger : as `ldct.evaluation.claims.ledger` returns it. titles : method to printed name.
    """
    counts = ", ".join(f"{count} {verdict}" for verdict, count in ledger["counts"].items())
    rows = [
        f"| [{escape_markdown(claim['id'])}](#{claim['id']}) | {_verdict_text(claim)} "
        f"| {escape_markdown(_deciding_text(claim, titles))} | {escape_markdown(_scope(claim))} |"
        for claim in ledger["claims"]
    ]
    blocks = [
        "# Claims of the paper, tested",
        f"**{counts}.** {escape_markdown(ledger['source'])}.",
        *map(escape_markdown, head_notes(ledger["context"], ledger["rule"])),
        "\n".join(["| Claim | Verdict | Deciding number | Holds |", "|:--|:--|:--|:--|", *rows]),
        *(_markdown_claim(claim, titles) for claim in ledger["claims"]),
        *_markdown_controls(ledger),
        "## Rule",
        *(f"**{name}**: {escape_markdown(text)}." for name, text in _rules(ledger).items()),
        f"{escape_markdown(ledger['context']['credit'])} "
        f"Run: {escape_markdown(ledger['context']['run'])}.",
    ]
    return "\n\n".join(blocks) + "\n"


def _markdown_claim(claim: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    lines = [
        f"### {claim['id']}",
        f"> “{escape_markdown(claim['quotation'])}” – {escape_markdown(claim['place'])}",
        f"Read as: {escape_markdown(claim['reading'])}",
    ]
    if claim["margin_why"]:
        lines.append(f"Margin: {escape_markdown(claim['margin_why'])}.")
    lines.append("\n".join(f"- {escape_markdown(text)}" for text in measured(claim, titles)))
    reason = f" ({escape_markdown(claim['reason'])})" if claim["reason"] else ""
    corrected = claim["p_holm"]
    p_text = "" if corrected is None else f" Holm p {format_p(corrected)}."
    lines.append(
        f"Verdict: **{claim['verdict']}**{reason}; {escape_markdown(_scope(claim))}.{p_text}"
    )
    return "\n\n".join(lines)


def _markdown_controls(ledger: Mapping[str, Any]) -> list[str]:
    lines = [f"- {escape_markdown(line)}." for line in control_notes(ledger)]
    return ["## What the controls say of the metrics", "\n".join(lines)] if lines else []


def to_html(ledger: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """One self-contained page with the same content."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(HTML).render(
        ledger=ledger,
        notes=head_notes(ledger["context"], ledger["rule"]),
        rules=_rules(ledger),
        controls=control_notes(ledger),
        measured=lambda claim: measured(claim, titles),
        scope=_scope,
    )


def head_notes(context: Mapping[str, Any], rule: Mapping[str, Any]) -> list[str]:
    """Sentences that a reader needs before any verdict."""
    data = f"Data: {context['dataset']}. Budget: {context['budget']}. Seeds: {context['seeds']}."
    if context["simulated"]:
        data += (
            " The quarter dose is simulated: every verdict on image data is one on simulated dose "
            "and neither confirms nor refutes the paper on its own data. Counted parameters and "
            "operations bear on the paper whatever the dose; timings and memory are of this "
            "machine and implementation."
        )
    if context["test_patients"] < 3:
        few = "One test patient" if context["test_patients"] == 1 else "Two test patients"
        data += f" {few}: no interval, and nothing is said of other patients."
    percent = f"{100 * rule['confidence']:g} %"
    how = (
        f"Intervals hold {percent}; verdicts pass Holm's correction over all claims that have a p "
        f"value. Protocol: {context['protocol']}. The rule stands at the end; it, the readings "
        "and the margins were fixed before any interval was computed, but where a reading or a "
        "margin says otherwise (config/claims.yaml)."
    )
    return [data, how]


def measured(claim: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """Every comparison of a claim in words, then the place found, then what is missing."""
    lines = [describe(each, titles) for each in claim["comparisons"]]
    if claim["place_found"]:
        best, worst = claim["place_found"]
        places = f"{best}" if best == worst else f"{best} to {worst}"
        lines.append(f"place by these intervals: {places} of {len(lines) + 1}")
    return lines + [f"not measured: {reason}" for reason in claim["missing"]]


def describe(comparison: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """One comparison: what, number, interval, bound, and the paper's own number."""
    metric, _, detail = comparison["metric"].partition(" ")
    formula = formula_of(metric)
    ratio = comparison["form"] == "ratio"
    digits = 2 if ratio else formula.digits
    style = f"{'+' if comparison['form'] == 'difference' else ''}.{digits}f"
    unit = f" {formula.unit}" if formula.unit and not ratio else ""
    interval = ""
    if comparison["lower"] != comparison["upper"]:
        bounds = [_number(comparison[key], style) for key in ("lower", "upper")]
        interval = f" [{', '.join(bounds)}]"
    side, other = ("above", "below") if comparison["better"] == "higher" else ("below", "above")
    beyond = comparison["refuted_at"]
    refuted = "" if beyond is None else f", excluded {other} {_number(beyond, '.3g')}"
    text = (
        f"{formula.title}{f' {detail}' if detail else ''}{_who(comparison, titles)}: "
        f"{_number(comparison['estimate'], style)}{interval}{unit} "
        f"(claimed {side} {_number(comparison['bound'], '.3g')}{refuted}: "
        f"{OUTCOMES[comparison['outcome']]})"
    )
    if comparison["published"] is not None:
        text += f"; in the paper's table {_number(comparison['published'], style)}"
    return text


def _number(value: float, style: str) -> str:
    return f"{value:{style}}".replace("-", "−")


def _who(comparison: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    method = titles.get(comparison["method"], comparison["method"])
    if comparison["reference"] is None:
        return f" of {method}"
    reference = titles.get(comparison["reference"], comparison["reference"])
    return f", {method} {'over' if comparison['form'] == 'ratio' else 'minus'} {reference}"


def deciding(claim: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The comparison that made the verdict: the one that speaks most against the claim.

    Where the claim is place r, r - 1 may speak against it: the one after those.
    """

    def distance(each: Mapping[str, Any]) -> float:
        sign = 1 if each["better"] == "higher" else -1
        half = (each["upper"] - each["lower"]) / 2 or abs(each["bound"]) or 1.0
        return sign * (each["estimate"] - each["bound"]) / half

    ordered = sorted(claim["comparisons"], key=distance)
    return ordered[min(claim["rank"], len(ordered)) - 1] if ordered else None


def _verdict_text(claim: Mapping[str, Any]) -> str:
    leans = claim["verdict"] == "undecided" and claim["leaning"] != "undecided"
    return f"**{claim['verdict']}**" + (f", leans to {claim['leaning']}" if leans else "")


def _deciding_text(claim: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    if claim["verdict"] == "not measured":
        return claim["reason"]
    return describe(deciding(claim), titles)


def _scope(claim: Mapping[str, Any]) -> str:
    parts = [claim["scope"], "simulated dose" if claim["simulated_dose"] else ""]
    if claim["flagged_metrics"]:
        names = ", ".join(formula_of(name).title for name in claim["flagged_metrics"])
        parts.append(f"{FLAG} {names} failed a control, see the end")
    return "; ".join(filter(None, parts))


def control_notes(ledger: Mapping[str, Any]) -> list[str]:
    """What the controls showed of the metrics used, one line for each that has something."""
    lines = []
    for metric, found in ledger["controls"].items():
        title = formula_of(metric).title
        if found["flagged"]:
            lines.append(f"{FLAG} {title} {found['reason']}")
        if found["note"]:
            lines.append(f"{title} {found['note']}")
    return lines


def _rules(ledger: Mapping[str, Any]) -> dict[str, str]:
    return {
        verdict: ledger["rule"][verdict.replace(" ", "_")].strip() for verdict in ledger["counts"]
    }


def format_p(p_value: float) -> str:
    """A p value with two digits, never 0."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
