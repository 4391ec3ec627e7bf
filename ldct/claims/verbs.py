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
    claims.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="FOLDER")
    claims.add_argument(
        "--settings", type=json.loads, help="of the run, JSON; else its config.yaml"
    )
    claims.add_argument("--claims", type=Path, default=CLAIMS)
    claims.add_argument("--margins", type=Path, default=MARGINS)
    claims.add_argument("--output", type=Path, help="folder; left out: the run's own")
    claims.add_argument(
        "--expect", type=Path, metavar="JSON", help="fail where a verdict is not as in this ledger"
    )
    claims.set_defaults(run=run_claims)


def run_claims(options: argparse.Namespace) -> None:
    """Judge all claims on one finished run; write claims.json, claims.md and claims.html."""
    from ldct.claims import judge
    from ldct.claims.files import files_of_claims
    from ldct.claims.measures import Source
    from ldct.claims.page import to_html, to_markdown
    from ldct.common.files import write_json, write_text
    from ldct.common.provenance import recorded
    from ldct.common.run_files import IMAGES
    from ldct.configuration.published import read_margins
    from ldct.explain.number import open_run
    from ldct.metrics.protocol import load_protocol

    settings = options.settings or open_run(str(options.run_folder))[1]
    claims = judge.load_claims(options.claims)
    expected = None if options.expect is None else judge.verdicts_of(options.expect)
    protocol = load_protocol(settings["protocol_file"])
    margins = read_margins(options.margins)
    source = Source(options.run_folder, settings, protocol, claims["rule"], margins)
    dataset = settings["dataset"]
    context = {
        "run": settings["run"],
        "dataset": dataset["title"],
        "simulated": dataset["simulated"],
        "credit": dataset.get("credit", dataset["title"] + "."),
        "budget": settings["budget_text"],
        "seeds": ", ".join(map(str, settings["seeds"])),
        "protocol": protocol.describe(),
        "slices": _notes_of_slices(options.run_folder, settings, protocol.name),
    }
    folder = options.output or options.run_folder
    outputs = [folder / f"claims.{suffix}" for suffix in ("json", "md", "html")]
    cards = settings["cards"] | settings.get("control_cards", {})
    titles = IMAGES | {name: card["title"] for name, card in cards.items()}
    asked = [*claims["claims"], *claims["checks"]]
    measured = files_of_claims(asked, options.run_folder, settings)
    inputs = [options.claims, options.margins, settings["protocol_file"]]
    inputs += [path for path in measured if path.is_file()]
    with recorded(outputs, inputs, context):
        findings = judge.judge_claims(claims["claims"], source)
        checks = judge.check_pipeline(claims["checks"], source)
        found = judge.ledger(findings, checks, claims, context)
        write_json(outputs[0], found)
        write_text(outputs[1], to_markdown(found, titles))
        write_text(outputs[2], to_html(found, titles))
    print(", ".join(f"{count} {verdict}" for verdict, count in found["counts"].items()))
    changes = [] if expected is None else judge.changed_verdicts(found, expected)
    if changes:
        raise InputError(f"verdicts are not those of {options.expect}: {'; '.join(changes)}")


def _notes_of_slices(run: Path, settings: dict[str, Any], protocol: str) -> list[str]:
    """Notes on slices that no claim rests on, from the scores of one method."""
    from ldct.common.run_files import table_files
    from ldct.metrics.scores import notes_of_slices
    from ldct.metrics.verbs import read_rows

    files = table_files(run, settings, "scores", next(iter(settings["cards"])))
    files = [path for path in files if path.is_file()]
    return notes_of_slices(read_rows(files, protocol, ["psnr"])) if files else []
