"""The viewer as a section of a page: markup, style, script, slices, and a picture for paper."""

import base64
import json
from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ldct.common.inputs import read_mapping
from ldct.lesions.panels import draw_lesion_panel, windows_text
from ldct.rendering import figure_style as fs
from ldct.viewer.pack import decode

PARTS = Path(__file__).parent
SCRIPTS = ("images.js", "colours.js", "scores.js", "viewer.js", "controls.js")
# One scope for all of them, and no name outside it.
SCRIPT = "(() => {\n'use strict';\n\n%s})();\n"
PICTURE_DPI = 150


def viewer_html(packed: str | Path) -> str:
    """Markup that needs nothing outside itself, for a section `#viewer` with a heading of its own.

    Without its script, and on paper, it is a picture. Colours are those of the page around it.
    packed : file of `pack_slices`. Raises InputError where it is none.
    """
    content = read_mapping(packed, "context", "protocol", "windows", "slices")
    first = content["slices"][0]
    return Template(_part("viewer.html")).substitute(
        style=_part("viewer.css"),
        script=SCRIPT % "\n".join(map(_part, SCRIPTS)),
        # "<" ends no script where it is written as an escape.
        slices=json.dumps(content, ensure_ascii=False).replace("<", "\\u003c"),
        context=escape(content["context"]),
        protocol=escape(content["protocol"]["text"]),
        left_out=_left_out(content["left_out"]),
        picture=base64.b64encode(_picture(first, content)).decode("ascii"),
        picture_title=escape(first["title"]),
    )


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _left_out(count: int) -> str:
    return f"{count} further views are left out by the limit viewer.megabytes." if count else ""


def images_of(entry: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Title to image of one packed slice, (rows, columns) int16 HU."""
    top, bottom, left, right = entry["crop"]
    images: dict[str, np.ndarray] = {}
    for title, image in entry["images"].items():
        # LDCT is the first, and needs no other.
        images[title] = decode(image, (bottom - top, right - left), images.get("LDCT"))
    return images


def _picture(entry: Mapping[str, Any], content: Mapping[str, Any]) -> bytes:
    """PNG of the first slice: every image, in the windows that the script starts with."""
    (top, _, left, _), (first, last, start, end) = entry["crop"], entry["region"]
    region = np.s_[first - top : last - top, start - left : end - left]
    crops = {title: image[region] for title, image in images_of(entry).items()}
    mark = entry["mark"] and (entry["mark"][0] - start, entry["mark"][1] - first, entry["mark"][2])
    window, stream = content["protocol"]["window"], BytesIO()
    with fs.figure_style():
        footer = f"{windows_text(window, entry['second'])}  ·  {content['context']}"
        figure = draw_lesion_panel(crops, {}, mark, window, entry["second"], footer)
        figure.savefig(stream, format="png", dpi=PICTURE_DPI)
    return stream.getvalue()
