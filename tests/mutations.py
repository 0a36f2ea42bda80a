"""Damaged and hostile forms of files and values, for tests that read them."""

import io
import json
import struct
import zipfile
import zlib

from hypothesis import strategies as st

WORDS = (
    *(b"", b"\0", b"\xff", b"\r", b"\n", b'"', b",", b"\t", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(b"-1", b"0", b"1e999", b"nan", b"99999999999999999999", b"\xff" * 8, b"\x7f\xff\xff\xff", b"[" * 2000),
    *(b"../../../x", b"'", b"{", b"}", b"\\ud800", b"\\u0000"),
)
texts = st.text(st.characters(), max_size=12) | st.sampled_from(("", "../..", "/", "\0", "\ud800", "x" * 5000, "nan"))
scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(min_value=10**18, max_value=10**30) | st.floats() | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=6
)


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """A file with up to four bits, words or parts changed, or something else altogether."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 64)))
        change = draw(st.sampled_from(("cut", "drop", "flip", "word", "word", "double")))
        if change == "cut":
            del data[start:]
        elif change == "drop":
            del data[start:stop]
        elif change == "flip" and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif change == "word":
            data[start:stop] = draw(st.sampled_from(WORDS) | st.binary(max_size=12))
        else:
            data[stop:stop] = data[start:stop]
    return bytes(data)


@st.composite
def changed(draw, content):
    """A tree of JSON values with up to three of them replaced, removed, renamed or added."""
    tree = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 3))):
        tree = draw(_changed_once(tree))
    return tree


@st.composite
def _changed_once(draw, tree):
    if not isinstance(tree, (dict, list)) or not tree or draw(st.integers(0, 7)) == 0:
        return draw(values)
    key = draw(st.sampled_from(sorted(tree) if isinstance(tree, dict) else range(len(tree))))
    change = draw(st.sampled_from(("inside", "inside", "inside", "remove", "add", "rename")))
    if change == "inside":
        tree[key] = draw(_changed_once(tree[key]))
    elif change == "remove":
        del tree[key]
    elif isinstance(tree, dict):
        tree[draw(texts)] = draw(values) if change == "add" else tree.pop(key)
    else:
        tree.append(draw(values))
    return tree


def as_json(tree) -> bytes:
    """What a program of another kind may write: escapes of any code unit, NaN and Infinity."""
    return json.dumps(tree).encode()


def json_files(content) -> st.SearchStrategy[bytes]:
    """Files of changed values, and damaged files."""
    return changed(content).map(as_json) | damaged(as_json(content))


@st.composite
def zip_files(draw, content: bytes) -> bytes:
    """An archive that is damaged, or well-formed with a damaged entry; stored or compressed."""
    if draw(st.booleans()):
        return draw(damaged(content))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = draw(st.sampled_from(sorted(entries)))
    entries[name] = draw(damaged(entries[name]))
    return zipped(entries, draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))))


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of some entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def png_claiming(width: int, height: int, content: bytes) -> bytes:
    """A PNG whose header, with a right checksum, claims another size."""
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
