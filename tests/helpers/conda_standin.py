"""A stand-in for the `conda` executable: the few calls that snakemake makes, on py-rattler.

Run as a program by the `conda` script that test_conda.py writes. It solves and installs from
the channels that the environment file names; a `pip:` list is left out: no index is at hand.
"""

import asyncio
import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import yaml

VERSION = "25.1.0"


def main(prefix: str, arguments: list[str]) -> None:
    """Answer one call. prefix : what `conda info` gives as its own prefix."""
    match arguments:
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": prefix, "platform": "linux-64"}))
        case ["--version"]:
            print(f"conda {VERSION}")
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["list", "--explicit", "--md5", "--prefix", target]:
            print("\n".join(["@EXPLICIT", *explicit(Path(target))]))
        case ["env", "create", *options] | ["create", *options]:
            values = dict(pairwise(options))
            make = create if arguments[0] == "env" else create_pinned
            asyncio.run(make(Path(values["--file"]), Path(values["--prefix"])))
            # py-rattler's worker threads outlive the call; one that asks for the interpreter while
            # it shuts down crashes the process (about 4 in 100 calls), after all is installed.
            sys.stdout.flush()
            os._exit(0)
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"conda stand-in: unexpected call {arguments}")


def explicit(target: Path) -> list[str]:
    """Address and md5 of each package of an environment."""
    records = [json.loads(path.read_text()) for path in (target / "conda-meta").glob("*.json")]
    return sorted(f"{record['url']}#{record['md5']}" for record in records)


async def create_pinned(file: Path, target: Path) -> None:
    """Install the packages of an explicit list, with no solver; the md5 of each is compared."""
    from rattler import Gateway, install

    pins = dict(line.split("#") for line in file.read_text().split() if "#" in line)
    channels = {pin.rsplit("/", 2)[0] for pin in pins}
    cache = target.with_name(target.name + "cache")
    names = [pin.rsplit("/", 1)[1].rsplit("-", 2)[0] for pin in pins]
    gateway = Gateway(cache_dir=cache / "repodata")
    found = await gateway.query([*channels], ["linux-64", "noarch"], names, recursive=False)
    records = [record for group in found for record in group if record.url in pins]
    assert {record.url: record.md5.hex() for record in records} == pins
    await install(records, target, cache_dir=cache / "packages", show_progress=False)


async def create(file: Path, target: Path) -> None:
    """Solve and install the environment of one file."""
    from rattler import Gateway, VirtualPackage, VirtualPackageOverrides, install, solve

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    cache = target.with_name(target.name + "cache")
    records = await solve(
        content["channels"],
        [spec for spec in content["dependencies"] if isinstance(spec, str)],
        gateway=Gateway(cache_dir=cache / "repodata"),
        platforms=["linux-64", "noarch"],
        virtual_packages=VirtualPackage.detect(overrides=VirtualPackageOverrides.from_env()),
    )
    await install(records, target, cache_dir=cache / "packages", show_progress=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
