"""DICOM files of which every identifying attribute holds a mark that nothing else holds.

attributes.txt : those of the Basic Application Level Confidentiality Profile (PS3.15, Table E.1-1,
of 2024b) whose values are texts, names, dates, times, ages or UIDs.
"""

import re
import zlib
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

ATTRIBUTES = Path(__file__).with_name("attributes.txt").read_text(encoding="utf-8").split()
WORD, UID, YEAR, TIME, AGE = "ZQPLANT", "2.25.70707070707", "1883", "234958.987", "987Y"
LITERAL = [each.encode() for each in (WORD, UID, TIME, "23:49:58.987")]
# Begin with what is rare, so that a search is fast; what stands before is looked at then.
DATED = [re.compile(text) for text in (rb"1883-?(?:0\d|1[0-2])-?[0-3]\d(?![\da-f])", rb"987Y\b")]
HOST = "zqplanthost"
# With it on PYTHONPATH every Python says that it runs on HOST.
SITE = Path(__file__).with_name("site")
PRIVATE_GROUP, OVERLAY_COMMENTS = 0x0029, 0x60004000


def mark(keyword: str, told: str = "") -> str:
    """The value of one attribute. told : what a UID of a file or series ends in."""
    tag = tag_for_keyword(keyword)
    day = f"{YEAR}{1 + tag % 12:02}{1 + tag % 28:02}"
    match dictionary_VR(tag):
        case "UI":
            return f"{UID}{tag}{told}"
        case "DA":
            return day
        case "TM":
            return TIME
        case "DT":
            return day + TIME
        case "AS":
            return AGE
        case "UR":
            return f"https://{WORD}.org/{tag:08x}"
        case _:
            return f"{WORD}{tag:08X}"


def marks_in(content: bytes) -> set[bytes]:
    """Marks that stand in some bytes; digits within numbers and hex digests are none."""
    found = {each for each in LITERAL if each in content}
    for pattern in DATED:
        for hit in pattern.finditer(content):
            before = content[hit.start() - 1 : hit.start()] if hit.start() else b""
            if not re.match(rb"[\da-f.]", before):
                found.add(hit[0])
    return found


def plant(path: Path) -> None:
    """Rewrite a file with a mark in each attribute, in a sequence, private tags and an overlay."""
    dataset = pydicom.dcmread(path)
    series = str(zlib.crc32(str(path.parent).encode()))
    ends = {"SOPInstanceUID": f"{series}{dataset.InstanceNumber}", "SeriesInstanceUID": series}
    ends["MediaStorageSOPInstanceUID"] = ends["SOPInstanceUID"]
    for keyword in ATTRIBUTES:
        holder = dataset.file_meta if Tag(tag_for_keyword(keyword)).group == 2 else dataset
        setattr(holder, keyword, mark(keyword, ends.get(keyword, "")))
    dataset.OtherPatientIDsSequence = [_item("PatientID", "IssuerOfPatientID", "PatientName")]
    dataset.RequestAttributesSequence = [_item("RequestedProcedureID", "AccessionNumber")]
    block = dataset.private_block(PRIVATE_GROUP, f"{WORD}CREATOR", create=True)
    block.add_new(1, "LO", f"{WORD}PRIVATE")
    block.add_new(2, "OB", f"{WORD}BINARY".encode())
    dataset.add_new(OVERLAY_COMMENTS, "LT", f"{WORD}OVERLAY")
    dataset.save_as(path)


def _item(*keywords: str) -> Dataset:
    item = Dataset()
    for keyword in keywords:
        setattr(item, keyword, mark(keyword))
    return item
