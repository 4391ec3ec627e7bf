"""Hooks of mkdocs: pages from elsewhere in the repository, and reference made from its sources.

A page of `docs/` says `<!-- keys of NAME -->` where the table of a schema stands on the site, and
`<!-- commands -->` where the help of all verbs does.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from ldct.cli import GROUPS, make_parser
from ldct.common.files import REPOSITORY, read_yaml
from ldct.common.schema import SCHEMAS, expectation

# Pages of the site to their files; those of docs/ have their own names.
SOURCES = {
    "index.md": "README.md",
    "card.md": "methods/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changes.md": "CHANGELOG.md",
}
PAGES = {source: page for page, source in SOURCES.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]+)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside docs/."""
    for page, source in SOURCES.items():
        text = (REPOSITORY / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as the site has them, and tables and help in the place of their marks."""
    name = page.file.src_uri
    folder = (REPOSITORY / SOURCES.get(name, f"docs/{name}")).parent
    markdown = LINK.sub(lambda link: _relinked(link, folder), markdown)
    markdown = re.sub(r"<!-- keys of (\w+) -->", lambda mark: table_of_keys(mark[1]), markdown)
    return markdown.replace("<!-- commands -->", commands())


def _relinked(link: re.Match[str], folder: Path) -> str:
    """The link to a page or picture of the site; of any other file its text alone."""
    picture, text, target, anchor = link.groups()
    path = (folder / target).resolve().relative_to(REPOSITORY.resolve()).as_posix()
    on_site = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else "")
    return f"{picture}[{text}]({on_site}{anchor or ''})" if on_site else text


def table_of_keys(name: str) -> str:
    """The keys of a schema in workflow/schemas, with the defaults of config/config.yaml."""
    schema, defaults = read_yaml(SCHEMAS / f"{name}.schema.yaml"), {}
    if name == "config":
        defaults = dict(_leaves(read_yaml(REPOSITORY / "config/config.yaml")))
    heads = ["key", "values", *(["default"] if defaults else []), "meaning"]
    rows = [heads, ["---"] * len(heads)]
    for key, entry in _keys(schema, schema.get("$defs", {})):
        default = [f"`{_yaml(defaults[key])}`" if key in defaults else ""] if defaults else []
        meaning = re.sub(r"docs/((\w+)\.md(#[\w-]+)?)", r"[\2](\1)", entry.get("title", ""))
        printed = f"<code>{_cell(key).replace('.', '.<wbr>')}</code>"
        rows.append([printed, _cell(values_of(entry)), *default, _cell(meaning)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _keys(
    schema: Mapping[str, Any], shared: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key of a schema, dotted; of a mapping with free names `<name>`."""
    for key, entry in schema.get("properties", {}).items():
        entry = {**shared.get(entry.get("$ref", "").rpartition("/")[2], {}), **entry}
        if "title" in entry or "properties" not in entry:
            yield f"{above}{key}", entry
        yield from _keys(entry, shared, f"{above}{key}.")
        if isinstance(entry.get("additionalProperties"), dict):
            yield from _keys(entry["additionalProperties"], shared, f"{above}{key}.<name>.")


def values_of(entry: Mapping[str, Any]) -> str:
    """What a key takes, in words: as messages about a wrong value have it."""
    if "description" in entry:
        return entry["description"]
    rules = [rule for rule in ("enum", "const", "type") if rule in entry]
    return expectation(rules[0], entry[rules[0]]) if rules else ""


def _leaves(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        yield f"{above}{key}", value
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("\n...")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def commands() -> str:
    """The help of every verb, those that people type first."""
    os.environ["COLUMNS"] = "80"
    verbs, lines = make_parser().verbs, []
    typed = [name for names in GROUPS.values() for name in names]
    steps = {"steps, which rules call": [name for name in verbs if name not in typed]}
    for title, names in {**GROUPS, **steps}.items():
        lines.append(f"## {title.capitalize()}\n")
        for name in names:
            lines.append(f"### {name}\n\n```text\n{verbs[name].format_help().strip()}\n```\n")
    return "\n".join(lines)
