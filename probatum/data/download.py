"""Downloads of data sets from their publishers: resumed where they stopped, and put in place whole or not at all."""

import hashlib
import os
import re
import shutil
import urllib.request
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.error import HTTPError

from probatum.data.mnist import read_mnist
from probatum.errors import InvalidInput, UnknownName
from probatum.progress import Progress
from probatum.storage import sync_all

TINY_IMAGENET = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"  # Stanford CS231n
SST2 = "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip"  # GLUE, Wang et al. 2019, arXiv:1804.07461

_CHUNK = 1 << 18  # bytes
_TIMEOUT = 30  # seconds without a byte
_LARGEST = 1 << 26  # bytes of one file of an archive


def download(
    names: Iterable[str],
    data_dir: str | os.PathLike[str],
    *,
    classes: Iterable[str] = (),
    progress: Progress | None = None,
) -> list[Path]:
    """Downloads data sets into a data folder, where they are not there yet.

    Args:
        names: of `DOWNLOADS`.
        data_dir: the folder; it is made where there is none.
        classes: WordNet numbers of the classes of Tiny-ImageNet that are kept; none keeps all.
        progress: called with (bytes done, bytes in all, what).

    Returns:
        the folder of each data set.

    Raises:
        UnknownName: a data set that cannot be downloaded.
        InvalidInput: no network, a server that fails, or damaged files.
    """
    chosen, root = list(names), Path(data_dir)
    for name in chosen:
        if name not in DOWNLOADS:
            raise UnknownName("data set to download", name, DOWNLOADS)
    root.mkdir(parents=True, exist_ok=True)
    return [DOWNLOADS[name](root, frozenset(classes), progress) for name in chosen]


def fetch(url: str, path: Path, progress: Progress | None = None, *, sha256: str | None = None) -> Path:
    """Downloads a file; what an interrupted download left in `path` with `.part` behind it is continued.

    Args:
        url: http or https.
        path: of the file; where there is one, nothing is done.
        progress: called with (bytes done, bytes in all, the file's name).
        sha256: of the file, where its publisher states it.

    Raises:
        InvalidInput: no network, a server that fails, or another checksum.
    """
    if path.is_file():
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        _continue(url, part, progress)
    except OSError as error:  # also of urllib and http.client's sockets
        raise InvalidInput(
            f"{url} could not be downloaded ({error}); check the network and give the command again, which continues, "
            f"or put the file at {path}"
        ) from error
    if sha256 is not None and hashlib.sha256(part.read_bytes()).hexdigest() != sha256:
        part.unlink()
        raise InvalidInput(f"{url} is not the file that was published (its SHA-256 differs); it was removed")
    os.replace(part, path)
    return path


def _continue(url: str, part: Path, progress: Progress | None) -> None:
    """Appends to a part what it lacks; begins anew where the server does not send ranges."""
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(f"{url} is no address of a web server")
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # http and https alone, see above
    except HTTPError as error:
        if error.code != 416:  # the range is not satisfiable: the part is whole, or of another file
            raise
        part.unlink()
        response, there = urllib.request.urlopen(url, timeout=_TIMEOUT), 0
    with response, open(part, "ab" if response.status == 206 else "wb") as file:
        done = there if response.status == 206 else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, max(done, total), f"downloading {url.rpartition('/')[2]}")
    if done < total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _mnist(variant: str) -> Callable[[Path, frozenset[str], Progress | None], Path]:
    def load(root: Path, classes: frozenset[str], progress: Progress | None) -> Path:
        """By torchvision, which knows mirrors and MD5 sums."""
        for split in ("train", "test"):
            read_mnist(root, split, "FashionMNIST" if variant == "FashionMNIST" else "MNIST", download=True)
        return root / variant

    return load


def _tiny_imagenet(root: Path, classes: frozenset[str], progress: Progress | None) -> Path:
    """The archive has 200 classes; the files of the chosen ones are kept."""
    wanted = "|".join(sorted(classes)) or r"n\d+"
    kept = re.compile(rf"tiny-imagenet-200/(words\.txt|wnids\.txt|train/({wanted})/images/\w+\.JPEG|val/.*\w)")
    place = root / "tiny-imagenet-200"
    if not place.exists():
        archive = fetch(TINY_IMAGENET, root / "tiny-imagenet-200.zip", progress)
        unpack(archive, place, lambda name: name.removeprefix("tiny-imagenet-200/") if kept.fullmatch(name) else None)
        archive.unlink()
    return place


def _sst2(root: Path, classes: frozenset[str], progress: Progress | None) -> Path:
    """The training and development sentences; GLUE keeps the labels of the test sentences to itself."""
    place = root / "sst2"
    if not place.exists():
        archive = fetch(SST2, root / "SST-2.zip", progress)
        kept = {"SST-2/train.tsv": "train.tsv", "SST-2/dev.tsv": "dev.tsv"}
        unpack(archive, place, kept.get)
        archive.unlink()
    return place


def unpack(archive: Path, place: Path, choose: Callable[[str], str | None]) -> None:
    """Unpacks chosen files of a zip archive into a folder that appears when all of them are there.

    Args:
        archive: a zip file.
        place: the folder to make.
        choose: gives the path below `place` of a file's name in the archive, or None to leave it out.

    Raises:
        InvalidInput: the archive is damaged, and was removed; a file is too large, or would lie outside of the folder.
    """
    scratch = place.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with zipfile.ZipFile(archive) as content:
            for entry in content.infolist():
                target = None if entry.is_dir() else choose(entry.filename)
                if target is None:
                    continue
                path = scratch / target
                if entry.file_size > _LARGEST or ".." in path.parts or not path.is_relative_to(scratch):
                    raise InvalidInput(f"{archive} holds {entry.filename[:80]!r}, which is none of the published files")
                path.parent.mkdir(parents=True, exist_ok=True)
                with content.open(entry) as source, open(path, "wb") as file:
                    shutil.copyfileobj(source, file)
        if not scratch.is_dir():
            raise InvalidInput(f"{archive} holds none of the published files")
        sync_all(scratch)
        os.replace(scratch, place)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        archive.unlink()
        raise InvalidInput(f"{archive} was damaged and is removed; give the command again ({error})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


DOWNLOADS: dict[str, Callable[[Path, frozenset[str], Progress | None], Path]] = {
    "mnist": _mnist("MNIST"),
    "fashion-mnist": _mnist("FashionMNIST"),
    "tiny-imagenet": _tiny_imagenet,
    "sst2": _sst2,
}
"""What `download` can bring, by name."""
