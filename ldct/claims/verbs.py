"""Verbs: the claim ledger, and where a number of a run comes from."""

import argparse
import json
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError

CLAIMS, MARGINS = Path("config/claims.yaml"), Path("config/margins.yaml")


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    claims = verbs.add_parser("claims", help="a verdict for each testable sentence of the paper")
    claims.add_argument("name", metavar="RUN", help="a folder, or a name below results/")
    claims.add_argument(
        "--settings", type=json.loads, help="of the run, JSON; else its config.yaml"
    )
    claims.add_argument("--claims", type=Path, default=CLAIMS)
    claims.add_argument("--margins", type=Path, default=MARGINS)
    claims.add_argument("--output", type=Path, help="folder; left out: the run's own")
    claims.add_argument(
        "--expect",
        type=Path,
        metavar="JSON",
        help="fail where a verdict is not as in this ledger; writes nothing without --output",
    )
    claims.set_defaults(run=run_claims)


def run_claims(options: argparse.Namespace) -> None:
    """Judge all claims on one finished run; write claims.json, claims.md and claims.html."""
    from ldct.claims import judge
    from ldct.claims.files import files_of_claims
    from ldct.claims.measures import Source
    from ldct.common.provenance import recorded
    from ldct.configuration.published import read_margins
    from ldct.metrics.protocol import load_protocol

    run, settings = _run_of(options)
    claims = judge.load_claims(options.claims)
    expected = None if options.expect is None else judge.verdicts_of(options.expect)
    protocol = load_protocol(settings["protocol_file"])
    source = Source(run, settings, protocol, claims["rule"], read_margins(options.margins))
    dataset = settings["dataset"]
    context = {
        "run": settings["run"],
        "dataset": dataset["title"],
        "simulated": dataset["simulated"],
        "credit": dataset.get("credit", dataset["title"] + "."),
        "budget": settings["budget_text"],
        "seeds": ", ".join(map(str, settings["seeds"])),
        "protocol": protocol.describe(),
        "slices": _notes_of_slices(run, settings, protocol.name),
    }

    def found() -> dict[str, Any]:
        findings = judge.judge_claims(claims["claims"], source)
        checks = judge.check_pipeline(claims["checks"], source)
        return judge.ledger(findings, checks, claims, context)

    if options.expect and not options.output:
        ledger = found()
    else:
        folder = options.output or run
        outputs = [folder / f"claims.{suffix}" for suffix in ("json", "md", "html")]
        measured = files_of_claims([*claims["claims"], *claims["checks"]], run, settings)
        inputs = [options.claims, options.margins, settings["protocol_file"]]
        inputs += [path for path in measured if path.is_file()]
        with recorded(outputs, inputs, context):
            ledger = found()
            _write(ledger, settings, outputs)
    print(", ".join(f"{count} {verdict}" for verdict, count in ledger["counts"].items()))
    changes = [] if expected is None else judge.changed_verdicts(ledger, expected)
    if changes:
        raise InputError(f"verdicts are not those of {options.expect}: {'; '.join(changes)}")


def _run_of(options: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """Folder and settings; InputError for a run named by hand that has no scores."""
    if options.settings:
        return Path(options.name), options.settings
    from ldct.explain.number import open_run

    run, settings = open_run(options.name)
    if not any(run.glob("scores/*/*/*.parquet")):
        raise InputError(f"{run}: has no scores/, so no claim can be judged; expected a whole run")
    return run, dict(settings)


def _write(ledger: dict[str, Any], settings: dict[str, Any], outputs: list[Path]) -> None:
    """Write the ledger as JSON, Markdown and HTML."""
    from ldct.claims.page import to_html, to_markdown
    from ldct.common.files import write_json, write_text
    from ldct.common.run_files import IMAGES

    cards = settings["cards"] | settings.get("control_cards", {})
    titles = IMAGES | {name: card["title"] for name, card in cards.items()}
    write_json(outputs[0], ledger)
    write_text(outputs[1], to_markdown(ledger, titles))
    write_text(outputs[2], to_html(ledger, titles))


def _notes_of_slices(run: Path, settings: dict[str, Any], protocol: str) -> list[str]:
    """Notes on slices that no claim rests on, from the scores of one method."""
    from ldct.common.run_files import table_files
    from ldct.metrics.scores import notes_of_slices
    from ldct.metrics.verbs import read_rows

    files = table_files(run, settings, "scores", next(iter(settings["cards"])))
    files = [path for path in files if path.is_file()]
    return notes_of_slices(read_rows(files, protocol, ["psnr"])) if files else []
