"""Downloads, from a server of this process: whole, continued, damaged, and without a network."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from probatum.data import download as downloading
from probatum.data.download import download, fetch, unpack
from probatum.data.sst2 import read_sst2
from probatum.data.tiny_imagenet import read_tiny_imagenet
from probatum.errors import InvalidInput, UnknownName

CONTENT = np.random.default_rng(0).bytes(300_000)


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`, ranges too; ends a connection after `server.limit` bytes."""

    def do_GET(self):
        content = self.server.files.get(self.path)
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.sends_ranges else 0
        if content is None or first >= len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first:][: self.server.limit])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.ranges, server.limit, server.sends_ranges = {"/a.bin": CONTENT}, [], None, True
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("sends_ranges", [True, False])
def test_an_interrupted_download_continues(server, sends_ranges, tmp_path):
    server.limit, told = 100_000, []
    with pytest.raises(InvalidInput, match="give the command again"):
        fetch(f"{server.url}/a.bin", tmp_path / "a.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin.part"]
    there = (tmp_path / "a.bin.part").stat().st_size
    server.limit, server.sends_ranges = None, sends_ranges
    digest = hashlib.sha256(CONTENT).hexdigest()
    fetch(f"{server.url}/a.bin", tmp_path / "a.bin", lambda *facts: told.append(facts), sha256=digest)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={there}-"]
    assert told[-1] == (len(CONTENT), len(CONTENT), "downloading a.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_what_goes_wrong_is_named_and_leaves_no_file(server, tmp_path):
    with pytest.raises(InvalidInput, match="404"):
        fetch(f"{server.url}/b.bin", tmp_path / "b.bin")
    with pytest.raises(InvalidInput, match="SHA-256"):
        fetch(f"{server.url}/a.bin", tmp_path / "a.bin", sha256="0" * 64)
    with pytest.raises(InvalidInput, match="web server"):
        fetch("file:///etc/passwd", tmp_path / "c.bin")
    with pytest.raises(InvalidInput, match="network"):
        fetch("http://127.0.0.1:9/a.bin", tmp_path / "d.bin")  # where nothing listens
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnknownName, match="'mnist'"):
        download(["mnsit"], tmp_path)


def test_a_part_longer_than_the_file_begins_anew(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    fetch(f"{server.url}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_classes_of_tiny_imagenet_and_sentences_are_read_back(server, tmp_path, monkeypatch):
    picture = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 99, dtype=np.uint8)).save(picture, "JPEG")
    top = "tiny-imagenet-200/"
    server.files["/tiny.zip"] = zipped(
        {f"{top}wnids.txt": "n01\nn02\n", f"{top}words.txt": "n01\tcup\nn02\tcat\n"}
        | {f"{top}train/{wnid}/images/{wnid}_0.JPEG": picture.getvalue() for wnid in ("n01", "n02")}
        | {f"{top}val/images/val_0.JPEG": picture.getvalue(), f"{top}val/val_annotations.txt": "val_0.JPEG\tn02\t0\n"}
    )
    server.files["/sst.zip"] = zipped(
        {f"SST-2/{name}.tsv": "sentence\tlabel\na fine film\t1\n" for name in ("train", "dev", "test")}
    )
    monkeypatch.setattr(downloading, "TINY_IMAGENET", f"{server.url}/tiny.zip")
    monkeypatch.setattr(downloading, "SST2", f"{server.url}/sst.zip")
    places = download(["tiny-imagenet", "sst2"], tmp_path / "data", classes=["n02"])
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["sst2", "tiny-imagenet-200"]
    assert [path.name for path in (places[0] / "train").iterdir()] == ["n02"]
    assert read_tiny_imagenet(places[0], ["n02"]).class_names == ("cat",)
    assert len(read_tiny_imagenet(places[0], ["n02"], "test").images) == 1
    assert read_sst2(tmp_path / "data", "dev").sentences == ("a fine film",)
    requests = len(server.ranges)
    download(["tiny-imagenet", "sst2"], tmp_path / "data")
    assert len(server.ranges) == requests  # they are there


def test_damaged_and_hostile_archives_are_refused(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"../out.txt": "x"}))
    with pytest.raises(InvalidInput, match=r"out\.txt"):
        unpack(archive, tmp_path / "place", lambda name: name)
    archive.write_bytes(zipped({"a.txt": "x" * 1000})[:-30])
    with pytest.raises(InvalidInput, match="damaged"):
        unpack(archive, tmp_path / "place", lambda name: name)
    assert list(tmp_path.iterdir()) == []
