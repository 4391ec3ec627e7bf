"""ro-crate-metadata.json: RO-Crate 1.1 with the profile Process Run Crate 0.5, by hand.

A process is one command of the suite, as its provenance record tells it. The Workflow Run profiles
are not claimed: the workflow itself is named by version and commit and does not lie in the crate.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

METADATA = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
TERMS = "https://w3id.org/ro/terms/workflow-run#"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
LICENCE = "https://spdx.org/licenses/MIT"
MEDIA = {".yaml": "application/yaml", ".tex": "application/x-tex", ".md": "text/markdown"}
MEDIA |= {".cff": "application/yaml", "": "text/plain"}
WHAT = {
    "config.yaml": "the resolved configuration",
    "plan.json": "the sealed plan: what was fixed before the first score",
    "index.html": "the result page",
    "tables/table1.html": "Table I",
}
Entity = dict[str, Any]


def describe(
    settings: Mapping[str, Any],
    contents: Mapping[str, bytes],
    records: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The whole JSON-LD.

    settings : resolved run: `run`, `dataset`, `budget_text`. contents : path in the crate to bytes.
    records : output's path below the run to its provenance record.
    """
    others: dict[str, Entity] = {}
    prefix = f"results/{settings['run']}/"
    actions = process_actions(records, contents, prefix, others)
    dataset = settings["dataset"]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"LDCT-Cascade, run {settings['run']}",
        "description": f"{dataset['title']}; {settings['budget_text']}. Low-dose CT denoising: "
        "tables, figures, configuration and provenance. Absolute paths and host names were taken "
        "out; hashes in the records are of the files before that. Weights and predictions are "
        "named by their hashes and not here.",
        "datePublished": max(record["finished"] for record in records.values())[:10],
        "license": {"@id": LICENCE},
        "creditText": dataset.get("credit", dataset["title"]),
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": quote(name)} for name in contents],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    files = [file_entity(name, content) for name, content in contents.items()]
    graph = [descriptor, root, *about_entities(records), *files, *actions, *others.values()]
    return {"@context": [CONTEXT, {"sha256": f"{TERMS}sha256"}], "@graph": graph}


def about_entities(records: Mapping[str, Mapping[str, Any]]) -> list[Entity]:
    """Profile, licence, and the suite in every version that made something."""
    versions = {software_id(record): record["code"] for record in records.values()}
    return [
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": LICENCE,
            "@type": "CreativeWork",
            "name": "MIT License",
            "description": "Of the suite, its tables and pages. Images of the data set are under "
            "the data's own licence: see creditText.",
        },
        *(
            {
                "@id": key,
                "@type": "SoftwareApplication",
                "name": "LDCT-Cascade",
                "softwareVersion": f"{code['version']}, commit {code['git'] or 'unknown'}",
            }
            for key, code in versions.items()
        ),
    ]


def software_id(record: Mapping[str, Any]) -> str:
    """Name, within the crate, of the suite as a record has it."""
    return f"#ldct-{quote(record['code']['git'] or record['code']['version'])}"


def file_entity(name: str, content: bytes) -> Entity:
    """One file of the crate."""
    suffix = PurePosixPath(name).suffix
    known = {"description": WHAT[name]} if name in WHAT else {}
    return {
        "@id": quote(name),
        "@type": "File",
        "name": name,
        **known,
        "encodingFormat": MEDIA.get(suffix) or mimetypes.types_map.get(suffix, "text/plain"),
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def single(entities: list[Entity]) -> Entity | list[Entity]:
    """A list, or its only element: RO-Crate wants no list of one."""
    return entities[0] if len(entities) == 1 else entities


def process_actions(
    records: Mapping[str, Mapping[str, Any]],
    contents: Mapping[str, bytes],
    prefix: str,
    others: dict[str, Entity],
) -> list[Entity]:
    """One CreateAction for each command that was run, in the order of their ends.

    prefix : of the run's files in records. others : filled with what lies outside the crate.
    """

    def refer(path: str, found: Mapping[str, Any]) -> Entity:
        name = path.split(prefix, 1)[-1]
        if name in contents:
            return {"@id": quote(name)}
        key = f"#{quote(path)}"
        content = {"identifier": f"sha256:{found['sha256']}"} if "sha256" in found else {}
        others.setdefault(key, {"@id": key, "@type": "CreativeWork", "name": path, **content})
        return {"@id": key}

    jobs: dict[tuple[str, ...], list[str]] = {}
    for output, record in records.items():
        jobs.setdefault(tuple(record["command"]), []).append(output)
    ends = sorted(jobs.items(), key=lambda job: (records[job[1][0]]["finished"], job[1]))
    actions = []
    for number, (command, outputs) in enumerate(ends, 1):
        record = records[outputs[0]]
        made = [refer(f"{prefix}{name}", records[name]["content"]) for name in outputs]
        read = [refer(*item) for item in sorted(record["inputs"].items())]
        action = {
            "@id": f"#job-{number}",
            "@type": "CreateAction",
            "name": f"Making {outputs[0]}",
            "description": " ".join(command),
            "instrument": {"@id": software_id(record)},
            "endTime": record["finished"],
            "result": single(made),
        }
        actions.append(action | ({"object": single(read)} if read else {}))
    return actions
