"""The way back from a number, as text for a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from textwrap import wrap
from typing import Any

from ldct.rendering.numbers import bounds, counted, number
from ldct.statistics.adversary import adversary_state

WIDTH = 100


def to_text(found: Mapping[str, Any]) -> str:
    """Sections: number, formula, every file, what is wrong, rebuild.

    found : as `ldct.explain.number.explain` returns it.
    """
    where = f"run {found['run']}"
    if found["protocol"]:
        where += f", protocol {found['protocol']['name']}"
    title = f"{found['formula']['title']} of {found['title']} ({found['metric']}; {where})"
    sections = {
        title: _fold(_value(found)),
        "How it is computed": _fold(_computation(found)),
        "Files behind it, from the number back": _files(found["files"]),
        "Check of these files": _indent(found["problems"] or ["none changed, none missing"]),
        "Make it again (with --forceall: all that is behind it, too)": _indent([found["rebuild"]]),
    }
    return "\n\n".join("\n".join([head, *lines]) for head, lines in sections.items()) + "\n"


def _value(found: Mapping[str, Any]) -> list[str]:
    value, formula = found["value"], found["formula"]
    digits = formula["digits"] + 2 if formula["digits"] else 0
    if "conditions" in value:
        lines = [_condition(row, formula["digits"]) for row in value["conditions"]]
    elif value["estimate"] is None:
        lines = [f"no value: {value['why']}"]
    else:
        interval = bounds(value.get("lower"), value.get("upper"), digits)
        if interval:
            interval = f"   {interval} {100 * value['confidence']:g} % interval"
        lines = [f"{number(value['estimate'], digits)} {formula['unit']}".rstrip() + interval]
    if "n_slices" in value:
        left_out = value["rows_left_out"]
        undefined = f"; {counted(left_out, 'row')} without a value left out" if left_out else ""
        lines.append(f"{value['n_slices']} slices of {value['note']}{undefined}")
    dose = " (simulated dose)" if found["simulated_dose"] else ""
    budget = f"; {found['budget']}" if found["budget"] else ""
    lines.append(f"data: {found['dataset']}{dose}{budget}; seeds: {', '.join(found['seeds'])}")
    if (auc := found["critic_auc"]) is not None:
        state = adversary_state(auc)
        lines.append(f"adversary {state}: AUC {auc:.2f} of real against generated tiles")
    return lines


def _condition(row: Mapping[str, Any], digits: int) -> str:
    disc = f"{row['contrast_hu']:g} HU, {row['diameter_mm']:g} mm: {number(row['value'], digits)}"
    return f"{disc} {bounds(row['lower'], row['upper'], digits)}".rstrip()


def _computation(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{found['formula']['title']}: {found['formula']['text']}"]
    if found["protocol"] is None:
        return [*lines, "no evaluation protocol"]
    return [
        *lines,
        f"protocol {found['protocol']['name']}: {found['protocol']['text']}",
        f"the protocol's file: {found['protocol']['state']}",
    ]


def _files(files: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        line
        for file in files
        for line in (f"  {file['path']}  {_content(file)}".rstrip(), *_making(file))
    ]


def _content(file: Mapping[str, Any]) -> str:
    now, state = file["found"], file["state"]
    if state in ("missing", "folder"):
        return state if state == "missing" else ""
    content = f"sha256 {now['sha256'][:16]}…" if "sha256" in now else f"{now['bytes']:,} bytes"
    return f"{content}  {state.upper() if state == 'changed' else state}"


def _making(file: Mapping[str, Any]) -> list[str]:
    record = file["record"]
    if record is None or record["output"] != PurePath(file["path"]).name:
        return []
    code, when = record["code"], record["finished"].replace("T", " ").replace("+00:00", " UTC")
    where = f" on {record['host']['node']}" if "node" in record["host"] else ""
    made = f"made {when}{where} in {record['seconds']:g} s"
    return [f"      {made} by ldct {code['version']} {code['git'] or ''}".rstrip()]


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _fold(lines: Sequence[str]) -> list[str]:
    return [
        part
        for line in lines
        for part in wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")
    ]
