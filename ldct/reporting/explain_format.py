"""The way back from a number, as text for a terminal."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import PurePath
from textwrap import wrap
from typing import Any

WIDTH = 100
# Part of a path to what the file is; the first that fits.
ROLES = (
    ("/scores/", "scores"),
    ("/image_quality/", "image quality"),
    ("/texture/", "texture"),
    ("/lesion_bench/", "lesion bench"),
    ("/detectability/", "detectability"),
    ("tables/cost.json", "cost"),
    ("/tables/", "timings"),
    ("/benchmarks/", "benchmark"),
    ("/predictions/", "prediction"),
    ("/test/", "test slices"),
    ("parameters.json", "tuned settings"),
    ("training.json", "training"),
    ("/models/", "weights"),
    ("/weights/", "fixed network"),
    ("/volumes/", "volume"),
    ("tiles.npy", "training tiles"),
    ("lesions", "lesions"),
    ("index.parquet", "index of DICOM"),
    ("/dicom", "DICOM"),
    ("/archives/", "archive"),
    ("protocols/", "protocol"),
    ("method", "method's code"),
)


def to_text(found: Mapping[str, Any]) -> str:
    """Sections: number, formula, method, configuration, every file, what is wrong, rebuild.

    found : as `ldct.explain.explain` returns it.
    """
    sections = [
        _heading(found) + _number(found),
        ["How it is computed", *_indent(_computation(found))],
        ["Method", *_indent(_method(found))],
        ["Configuration and code", *_indent(_configuration(found))],
        ["Files behind it, from the number back", *_files(found["files"])],
        ["Check of these files", *_indent(found["problems"] or [_all_well(found["files"])], False)],
        [
            "Make it again (with --forceall: all that is behind it, too; trainings start from",
            "step 0 only where their folders under models/ are deleted)",
            *_indent([found["rebuild"]], False),
        ],
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _heading(found: Mapping[str, Any]) -> list[str]:
    title = found["formula"]["title"]
    where = f"run {found['run']}"
    if found["protocol"]:
        where += f", protocol {found['protocol']['name']}"
    return [f"{title} of {found['title']} ({found['metric']}; {where})"]


def _number(found: Mapping[str, Any]) -> list[str]:
    value = found["value"]
    if "conditions" in value:
        lines = _conditions(value, len(found["seeds"]) > 1)
    elif value["estimate"] is None:
        lines = [value["why"] if value.get("blind") else f"no value: {value['why']}"]
    elif "lower" not in value:
        lines = [_with_unit(value["estimate"], found["formula"])]
    else:
        lines = _mean(value, found["formula"])
    return _indent([*lines, *_source(found)])


def _mean(value: Mapping[str, Any], formula: Mapping[str, Any]) -> list[str]:
    bounds = ""
    if isfinite(value["lower"]):
        digits = formula["digits"] + 2
        bounds = (
            f"   [{value['lower']:.{digits}f}, {value['upper']:.{digits}f}] "
            f"{100 * value['confidence']:g} % interval"
        )
    lines = [
        _with_unit(value["estimate"], formula) + bounds,
        f"{value['n_slices']} slices, {value['note']}",
    ]
    if value["rows_left_out"]:
        lines.append(f"{value['rows_left_out']} undefined rows are left out")
    return lines + ([value["remark"]] if value["remark"] else [])


def _with_unit(value: float, formula: Mapping[str, Any]) -> str:
    digits = 0 if formula["digits"] == 0 else formula["digits"] + 2
    number = f"{value:.{digits}f}" if isfinite(value) else "∞"
    return f"{number} {formula['unit']}".rstrip()


def _conditions(value: Mapping[str, Any], several_seeds: bool) -> list[str]:
    """A line for each disc, and for each seed where there are several."""
    lines = ["contrast HU  diameter mm" + "  seed" * several_seeds + "    value   interval"]
    for row in value["conditions"]:
        place = f"{row['contrast_hu']:>11g}  {row['diameter_mm']:>11g}"
        place += f"  {row['seed']:>4}" * several_seeds
        number = f"{row['value']:>9.2f}   [{row['lower']:.2f}, {row['upper']:.2f}]"
        lines.append(place + (number if isfinite(row["value"]) else f"{'–':>9}   not measured"))
    seeds = " (mean: and over training seeds)" if several_seeds else ""
    return [
        *lines,
        f"{100 * value['confidence']:g} % jackknife intervals over {value['n_places']} places of "
        f"one patient{seeds}: they say nothing of other patients",
    ]


def _source(found: Mapping[str, Any]) -> list[str]:
    """Data, dose, budget and seeds: what any number of the run holds for."""
    dose = " (simulated dose)" if found["simulated_dose"] else ""
    discs = "low dose of the discs simulated; " if found["simulated_discs"] else ""
    return [
        f"data: {found['dataset']}{dose}; {discs}{found['budget']}".removesuffix("; "),
        f"seeds: {', '.join(found['seeds'])}",
    ]


def _computation(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{found['formula']['title']}: {found['formula']['text']}", found["averaging"]]
    if found["protocol"]:
        lines.append(f"protocol {found['protocol']['name']}: {found['protocol']['text']}")
        lines.append(f"the protocol's file: {found['protocol']['state']}")
    elif not found["metric"].startswith("cost."):
        lines.append("no evaluation protocol: HU as they are, without a window")
    if found["measured_with"]:
        lines.append(f"measured with: {_listed(found['measured_with'])}")
    return lines


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in options.items()
    )


def _method(found: Mapping[str, Any]) -> list[str]:
    card = found["card"]
    if card is None:
        return [f"{found['method']} ({found['kind']}): images of the test set, no method"]
    lines = [f"{found['method']} ({found['kind']}); card {card['path']}: {card['state']}"]
    for stage in found["stages"]:
        recipe = stage["recipe"]
        length = f"{recipe['steps']} steps" if "steps" in recipe else f"{recipe['epochs']} epochs"
        lines.append(
            f"{stage['model']}: network {stage['network']}, target {stage['target']}, "
            f"loss {' + '.join(stage['loss'])}, {length} of batch {recipe['batch']}, "
            f"learning rate {recipe['learning_rate']:g}: {stage['state']}"
        )
    return lines


def _configuration(found: Mapping[str, Any]) -> list[str]:
    used = found["configuration"]
    sources = ["config/config.yaml", *used["files"]]
    if used["options"]:
        sources.append(f"--config {_listed(used['options'])}")
    made = list(dict.fromkeys(map(_revision, found["code"]))) or ["of unknown version"]
    return [
        f"{used['path']}: sha256 {used['sha256'][:16]}…, resolved from {', '.join(sources)}",
        f"value made by ldct {' and '.join(made)}",
        f"explained by ldct {_revision(found['code_now'])}",
    ]


def _revision(code: Mapping[str, Any]) -> str:
    return code["version"] + (f" ({code['git']})" if code["git"] else "")


def _files(files: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for file in files:
        lines.append(f"  {_role(file['path']):<15} {file['path']}")
        lines += [f"{'':<18}{line}" for line in (_content(file), *_making(file)) if line]
    return lines


def _role(path: str) -> str:
    return next((role for part, role in ROLES if part in f"/{path}"), PurePath(path).suffix[1:])


def _content(file: Mapping[str, Any]) -> str:
    now, state = file["now"], file["state"]
    if state in ("missing", "folder"):
        return state if state == "missing" else ""
    content = f"sha256 {now['sha256'][:16]}…" if "sha256" in now else f"{now['bytes']:,} bytes"
    if state == "changed":
        return f"{content}  CHANGED"
    return f"{content}  {state}"


def _making(file: Mapping[str, Any]) -> list[str]:
    record = file["record"]
    if record is None or record["output"] != PurePath(file["path"]).name:
        return []
    code = record["code"]
    when = record["finished"].replace("T", " ").replace("+00:00", " UTC")
    return [
        f"made {when} on {record['host']['node']}, {record['seconds']:g} s, "
        f"peak {record['peak_memory_mb']:.0f} MB, code {_revision(code)}"
    ]


def _all_well(files: Sequence[Mapping[str, Any]]) -> str:
    states = [file["state"] for file in files]
    parts = [f"{states.count('as recorded')} files as recorded"]
    for state, text in (
        ("by size", "compared by size"),
        ("not recorded", "in no record by content"),
    ):
        if states.count(state):
            parts.append(f"{states.count(state)} {text}")
    return ", ".join(parts) + "; none changed, none missing"


def _indent(lines: Sequence[str], fold: bool = True) -> list[str]:
    if not fold:
        return [f"  {line}" for line in lines]
    return [
        part
        for line in lines
        for part in wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")
    ]
