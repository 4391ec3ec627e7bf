"""The verb `explain`."""

import argparse
import json


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    explain = verbs.add_parser("explain", help="where a number of a run comes from")
    # `run` is the attribute that holds the verb's function.
    explain.add_argument("name", metavar="RUN", help="a folder, or a name below results/")
    explain.add_argument("method", metavar="METHOD")
    explain.add_argument("metric", metavar="METRIC", help="a column of the run's value tables")
    explain.add_argument("--protocol", help="name; left out, the run's main one")
    explain.add_argument("--json", action="store_true", help="everything, as JSON")
    explain.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> None:
    """Print one number of a run, how it was computed, and every file behind it."""
    from ldct.explain.number import explain_number
    from ldct.explain.text import to_text

    found = explain_number(options.name, options.method, options.metric, options.protocol)
    if options.json:
        # JSON knows no NaN and no infinity: null.
        found = json.loads(json.dumps(found), parse_constant=lambda _: None)
        print(json.dumps(found, indent=2))
    else:
        print(to_text(found), end="")
