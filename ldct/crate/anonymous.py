"""Texts without the paths and names of the machine that made them."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# Folders of a path within a text that lead out of the working directory; what stands before is no
# part of a path.
FOLDERS = re.compile(
    r"(?<![\w.:/<>~+=,)\]-])(?:~?/|(?:\.\./)+(?=[\w.+@-]*\w[\w.+@-]*/))(?:[\w.+@-]+/)+"
)


def strings_of(content: Any) -> Iterator[str]:
    """Keys and values that are text, anywhere in JSON or YAML data."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from (*strings_of(key), *strings_of(value))
    elif isinstance(content, list):
        for value in content:
            yield from strings_of(value)


def machine_folders(texts: Iterable[str]) -> list[str]:
    """Folders outside that texts name, and those of this process; the longest first."""
    found = {f"{Path.cwd()}/", f"{Path.home()}/"}
    for text in texts:
        found |= set(FOLDERS.findall(text))
        if text.startswith(("/", "~/", "../")) and "\n" not in text:  # a path with blanks in it
            found |= {f"{text.rstrip('/')}/", text[: text.rstrip("/").rfind("/") + 1]}
    return sorted((each for each in found if each.strip("~./")), key=len, reverse=True)


def without_folders(text: str, folders: Iterable[str]) -> str:
    """The text with each path relative to the nearest of the folders."""
    for folder in folders:
        text = text.replace(folder, "")
    return text


def clean_record(text: str, folders: Iterable[str]) -> str:
    """A provenance record without the name of its host and without folders."""
    record = json.loads(text)
    record.get("host", {}).pop("node", None)
    text = json.dumps(record, indent=2, sort_keys=True)
    return without_folders(text, folders) + "\n"
