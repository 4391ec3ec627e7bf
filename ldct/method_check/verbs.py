"""Verbs for those who add methods."""

import argparse
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY, write_text
from ldct.configuration.published import read_published
from ldct.configuration.registry import find_methods, method_folder, read_usable_card

TEMPLATES = Path(__file__).parent / "template"
# Where users keep their own: not inside an installed package.
OWN = REPOSITORY / "methods" if (REPOSITORY / "ldct").is_dir() else Path("methods")
WITHOUT_PATH = "check-method (folders of your own: --path FOLDER)"
KINDS = ("yaml", "network", "classical", "external")


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    listing = verbs.add_parser("methods", help="list all methods")
    listing.add_argument(
        "--networks", action="store_true", help="build them: parameters, and pixels that are seen"
    )
    add_paths(listing)
    listing.set_defaults(run=run_methods)

    new = verbs.add_parser("new-method", help="make a method folder from a template")
    new.add_argument("name")
    new.add_argument("--kind", choices=KINDS, default="network", help="template (network)")
    new.add_argument("--path", type=Path, default=OWN, help="parent folder")
    new.set_defaults(run=run_new_method)

    check = verbs.add_parser("check-method", help="try a method in seconds, say what is wrong")
    check.add_argument("names", nargs="*", metavar="NAME", help="default: all methods")
    add_paths(check)
    check.set_defaults(run=run_check_method)


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add the option that names further folders of methods."""
    parser.add_argument(
        "--path",
        type=Path,
        nargs="+",
        default=[],
        help="folders as in the configuration's method_paths",
    )


def known_methods(paths: list[Path]) -> dict[str, Path]:
    """Method names to folders, the repository's own and those below `paths`."""
    own = REPOSITORY / "methods"
    return find_methods([own, *(path for path in paths if path.resolve() != own)])


def run_methods(options: argparse.Namespace) -> None:
    """Print one line per method; from the cards alone, where nobody asks for networks."""
    from ldct.configuration.stages import resolve_models

    methods = known_methods(options.path)
    heads = ["stages", "parameters", "sees"] if options.networks else []
    rows = [["name", "kind", "title", *heads, "source"]]
    for name, folder in methods.items():
        try:
            card = read_usable_card(folder)
            models, chains = resolve_models([name], methods, "paper", 64)
        except InputError as error:
            rows.append([name, "broken", *["–"] * (1 + len(heads)), str(error)])
            continue
        facts = network_facts(models, chains.get(name, [])) if options.networks else []
        rows.append([name, card["kind"], card["title"], *facts, " ".join(card["source"].split())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    # Whole lines into files and pipes; on a terminal, what fits.
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]])[:room])


def network_facts(models: Mapping[str, Mapping[str, Any]], chain: Sequence[str]) -> list[str]:
    """Stages, trainable parameters and seen pixels of a chain of models, as text."""
    from ldct.method_check.networks import untrained_facts

    if not chain:
        return ["–", "–", "–"]
    facts = untrained_facts(models, chain)
    return [" → ".join(chain), f"{facts['parameters']:,}", str(facts["field"] or "> 128")]


def run_new_method(options: argparse.Namespace) -> None:
    """Copy a template, with the method's name in it."""
    name, folder = options.name, options.path / options.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"method name: found '{name}', expected lower-case letters, digits and _")
    taken = known_methods([]).get(name, folder)
    if taken != folder:
        raise InputError(f"method name: '{name}' is taken by {taken}; choose another name")
    if folder.exists():
        raise InputError(f"{folder}: exists already; choose another name, or remove the folder")
    for template in sorted((TEMPLATES / options.kind).iterdir()):
        text = template.read_text(encoding="utf-8")
        write_text(folder / template.name, re.sub(r"\bNAME\b", name, text))
        print(folder / template.name)
    outside = options.path.resolve() != REPOSITORY / "methods"
    path = f" --path {options.path}" if outside else ""
    others = ", ".join(kind for kind in KINDS if kind != options.kind)
    print(f"A method of kind {options.kind} (other templates, by --kind: {others}).")
    print(f"Edit these, then: ldct check-method {name}{path}")


def run_check_method(options: argparse.Namespace) -> None:
    """Check methods one after the other; InputError where one has a problem."""
    from ldct.method_check.check import check_method

    methods = known_methods(options.path)
    published = read_published(REPOSITORY / "config/published.yaml")["rows"]
    for name in options.names:
        method_folder(name, methods, "check-method" if options.path else WITHOUT_PATH)
    bad = []
    for name in options.names or methods:
        # Without the progress lines of a dozen trainings of two steps.
        with tempfile.TemporaryDirectory() as work, redirect_stderr(io.StringIO()):
            verdict = check_method(name, methods, published, Path(work))
        print(f"{name}: {'wrong' if verdict.problems else 'ok'}", flush=True)
        for key, value in verdict.facts.items():
            print(f"  {key}: {value}")
        for remark in verdict.remarks:
            print(f"  note: {remark}")
        for problem in verdict.problems:
            print(f"  wrong: {problem}")
        bad += [name] if verdict.problems else []
    if bad:
        sys.stdout.flush()
        raise InputError(f"check-method: found problems in {', '.join(bad)}")
