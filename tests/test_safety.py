"""Nothing that is read is executed, and nothing that is read decides what is written where."""

import ast
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image
from sources import calls_of, imports_of, modules
from torch import nn

from probatum.cli import main
from probatum.data import IMAGENET, UNIT_RANGE, load_photographs, open_photograph, storable
from probatum.errors import InvalidInput, ModelError
from probatum.models import TrainingConfig, load_model
from probatum.runs.cache import train_once
from probatum.runs.cells import Cell, CellStore
from probatum.runs.files import read_arrays, write_arrays, write_table
from probatum.terminal.output import complain, plain, show, show_table

BANNED = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "tarfile"}
ARRAY_CALLS = {"np.load", "numpy.load", "np.save", "np.lib.format.read_array"}
PICKLED_MESSAGES = {"broadcast_object_list", "scatter_object_list", "send_object_list", "recv_object_list"}
PICKLED_MESSAGES |= {"gather_object", "all_gather_object"}
NAMED_CODE = {"attributions/registry.py", "models/sources/own.py"}  # methods and models as module:name
PROCESSES = {"benchmarks/environment.py", "benchmarks/suites/memory.py"}  # git, and the package's own worker


# --- what the sources may not say ---


def says(call, name, value):
    """Whether a call has this keyword with this constant."""
    return any(word.arg == name and getattr(word.value, "value", ...) is value for word in call.keywords)


def faults_of(call):
    """What is wrong with a call, in words."""
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    if name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"):
        yield f"{name} executes text"
    if last in ("extractall", "extract", "unpack_archive") or last in PICKLED_MESSAGES:
        yield f"{name} unpacks what it is given"
    if name in ARRAY_CALLS and not says(call, "allow_pickle", False):
        yield f"{name} without allow_pickle=False"
    if name == "torch.load" and not says(call, "weights_only", True):
        yield "torch.load without weights_only=True"
    if last in ("get_state_dict", "load_state_dict_from_url") and not says(call, "weights_only", True):
        yield f"{name} without weights_only=True"
    if name == "torchvision.models.get_model" and not says(call, "weights", None):
        yield "torchvision reads weights with pickle"
    unsafe = name.startswith(("torch.hub", "torch.jit", "torch.package", "torch.serialization"))
    if unsafe and name != "torch.hub.get_dir":  # which only tells where the cache is
        yield f"{name} may run what it loads"
    if last == "from_pretrained" and not any(word.arg is None for word in call.keywords):
        yield "a Hugging Face model without the options that make it safe"
    if any(word.arg == "shell" for word in call.keywords):
        yield "a shell"
    if name == "Image.open" and not any(word.arg == "formats" for word in call.keywords):
        yield "an image of any format, of which some are programs"


def unsafe_imports(module, tree):
    """The imports of a module that can run what they read."""
    names = {name.partition(".")[0] for name in imports_of(tree)}
    return names & (BANNED if module in PROCESSES else BANNED | {"subprocess"})


def test_no_source_unpickles_executes_or_unpacks():
    imports = [
        f"{module} imports {name}" for module, tree in modules().items() for name in unsafe_imports(module, tree)
    ]
    calls = [
        f"{module}:{call.lineno}: {fault}"
        for module, tree in modules().items()
        for call in calls_of(tree)
        for fault in faults_of(call)
    ]
    assert imports + calls == []


def test_code_of_the_users_own_runs_only_where_it_is_named():
    importers = {
        module
        for module, tree in modules().items()
        for call in calls_of(tree)
        if "import_object" in ast.unparse(call.func)
    }
    assert importers <= NAMED_CODE


def test_only_the_writer_that_refuses_objects_calls_savez():
    """Before numpy 2, `savez` takes `allow_pickle` for the name of an array."""
    calls = [ast.unparse(call.func) for tree in modules().values() for call in calls_of(tree)]
    assert len([name for name in calls if name.startswith("np.savez")]) == 1


@pytest.mark.parametrize(
    "source",
    [
        *("eval('1')", "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)", "os.system('ls')"),
        *("subprocess.run('ls', shell=True)", "archive.extractall('.')", "dist.broadcast_object_list(values)"),
        *("torch.hub.load('a', 'b')", "published.get_state_dict()", "AutoModel.from_pretrained(name)"),
        *("torchvision.models.get_model(name, weights=published)", "np.save(path, a)", "Image.open(path)"),
    ],
)
def test_the_search_finds_what_it_looks_for(source):
    assert list(faults_of(ast.parse(source).body[0].value))


# --- pickles that act ---


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "executed"


def trapped_checkpoints(marker):
    trap = Trap(marker)
    state = load_model("basic_cnn", "none").state_dict()
    for content in (trap, {"state_dict": trap}, dict(state) | {"conv1.weight": trap}, dict(state) | {"extra": trap}):
        for new in (True, False):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=new)
            yield buffer.getvalue()
    yield pickle.dumps(trap)
    yield pickle.dumps({"conv1.weight": trap})


def test_the_trap_works(marker):
    torch.load(io.BytesIO(next(trapped_checkpoints(marker))), weights_only=False)
    assert marker.exists()


def test_a_checkpoint_that_acts_is_refused_in_one_line(marker, tmp_path):
    path = tmp_path / "weights.pt"
    for content in trapped_checkpoints(marker):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="is not a file of tensors") as caught:
            load_model("basic_cnn", path)
        assert "\n" not in str(caught.value)
        assert not marker.exists()


def test_the_terminal_refuses_it_in_one_line_too(marker, tmp_path, capsys):
    path = tmp_path / "weights.pt"
    path.write_bytes(next(trapped_checkpoints(marker)))
    with pytest.raises(SystemExit) as stop:
        main(["check", "--weights", str(path), "--images", "1", "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {path} is not a file of tensors")
    assert shown.count("\n") == 1
    assert not marker.exists()
    assert not (tmp_path / "run").exists()


def test_published_weights_are_read_as_tensors_only(marker, tmp_path, monkeypatch):
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT.url
    path = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    torch.save({"features.0.weight": Trap(marker)}, path)
    with pytest.raises(ModelError, match="published weights"):
        load_model("squeezenet1_1")
    assert not marker.exists()


def test_a_cached_training_that_acts_is_trained_again(marker, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBATUM_CACHE", str(tmp_path / "cache"))
    images, labels = torch.rand(8, 1, 2, 2), torch.tensor([0, 1] * 4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    config = TrainingConfig(epochs=1, batch_size=8, learning_rate=0.1)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    report = train_once(model, images, labels, images, labels, config, what="a test")
    torch.save(Trap(marker), next((tmp_path / "cache").glob("*.pt")))
    model.load_state_dict(start)
    assert train_once(model, images, labels, images, labels, config, what="a test") == report
    assert not marker.exists()


def test_arrays_that_act_are_refused(marker, tmp_path):
    trap = np.empty(1, dtype=object)
    trap[0] = Trap(marker)
    np.savez(tmp_path / "a.npz", a=trap)
    with pytest.raises(InvalidInput, match="no whole archive of arrays"):
        read_arrays(tmp_path / "a.npz")
    store = CellStore(tmp_path, "a run")
    np.savez(store.path(Cell(0, 1)), a=trap)
    assert store.load(Cell(0, 1)) is None
    assert not marker.exists()


# --- archives and pictures that grow ---


def test_archives_are_refused_before_they_grow(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(10_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(InvalidInput, match="compressed"):
        read_arrays(path)
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", buffer.getvalue())
    with pytest.raises(InvalidInput, match="not as large as it says"):
        read_arrays(path)
    weights = tmp_path / "weights.pt"
    torch.save({"w": torch.zeros(1000)}, weights)
    with zipfile.ZipFile(weights) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(weights, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    assert torch.load(weights, weights_only=True)["w"].shape == (1000,)
    with pytest.raises(InvalidInput, match="not a file of tensors"):
        load_model("basic_cnn", weights)


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, {"a": np.zeros(1000)})
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry, tail = content[start:end], bytearray(content[end:])
    struct.pack_into("<HHI", tail, 8, 50, 50, 50 * len(entry))  # entries here, in all, and their bytes
    path.write_bytes(content[:start] + 50 * entry + tail)
    with pytest.raises(InvalidInput, match="more than its own size"):
        read_arrays(path)


def bomb(path, width, height):
    """A PNG of one color."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def test_pictures_are_refused_before_they_grow(tmp_path, monkeypatch):
    path = bomb(tmp_path / "a.png", 20_000, 20_000)
    assert path.stat().st_size < 100_000
    for limit in (Image.MAX_IMAGE_PIXELS, None):  # whatever another library allows
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InvalidInput, match="pixels"):
            open_photograph(path)
    thin = bomb(tmp_path / "b.png", 60_000, 1)
    assert open_photograph(thin).size == (60_000, 1)
    with pytest.raises(InvalidInput, match="too long and thin"):
        load_photographs(thin, IMAGENET)


def test_a_picture_that_is_a_program_is_not_run(tmp_path, monkeypatch):
    def run(*_arguments, **_options):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(InvalidInput, match="not a readable image"):
        open_photograph(tmp_path / "a.png")


# --- names ---


def test_names_of_files_are_spelt_so_that_everything_takes_them():
    assert storable("cats/tabby 数字 é.jpg") == "cats/tabby 数字 é.jpg"
    assert storable("a\udcff\n\x1b\u2028\x85\\xff") == r"a\xff\x0a\x1b\u2028\x85\\xff"
    assert len({storable(name) for name in ("\udcff", r"\xff", r"\\xff", "\xff")}) == 4


def test_tables_refuse_what_not_every_reader_takes(tmp_path):
    for name in ("a\0b", "a\udcff"):
        with pytest.raises(InvalidInput, match="storable"):
            write_table(tmp_path / "t.csv", ("name",), [(name,)])
    assert not (tmp_path / "t.csv").exists()


NAMES = (
    *(b"\xff\xfe.png", b"new\nline.png", b"escape\x1b[31m.png", b"<script>alert(1)<.png", b'quote",comma.png'),
    *(b"=1+1.png", b"a...png", b"back\\slash.png", "\u202egnp.png".encode(), b"x" * 240 + b".png", b"tab\t.png"),
)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Image.new("RGB", (40 + number, 40)).save(folder / "x.png")
        (folder / "x.png").rename(folder / os.fsdecode(name))
    return folder


def test_photographs_of_any_name_keep_apart(photographs):
    names = load_photographs(photographs, IMAGENET).image_names
    assert len(set(names)) == len(NAMES)
    assert all(name.encode().isascii() or name.isprintable() or "\u202e" in name for name in names)
    assert not any(sign in name for name in names for sign in "\0\n\r\t\x1b")
    assert r"\xff\xfe.png" in names


def test_the_terminal_takes_them_and_so_does_what_it_writes(photographs, tmp_path, capsys):
    out = tmp_path / "maps\udcff"
    options = ["--model", "squeezenet1_1", "--weights", "none", "--methods", "gradient", "--images", "20"]
    main_ok(["attribute", str(photographs), *options, "--out", str(out)])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert r"maps\udcff" in shown
    facts = json.loads((out / "config.json").read_bytes().decode())
    assert len({image["image"] for image in facts["images"]}) == len(NAMES)
    assert facts["sources"] == [str(photographs)]
    assert sorted(path.name for path in (out / "maps").glob("*.npz")) == [f"{n:03d}.npz" for n in range(len(NAMES))]
    main_ok(["report", str(out)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps\udcff", "photographs"]


def main_ok(words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert not stop.value.code


def test_nothing_steers_the_terminal(capsys):
    hostile = "a\x1b]0;owned\x07\x9b31m\udcff [bold]b"
    show(hostile)
    show_table(hostile, ["name"], [[hostile]])
    complain(hostile)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert not {"\x1b", "\x07", "\x9b", "\udcff"} & set(text)
        assert r"a\x1b]0;owned\x07\x9b31m\udcff [bold]b" in text
    assert plain("σ × 数") == "σ × 数"


def test_preprocessing_of_a_tensor_keeps_its_ratio():
    with pytest.raises(InvalidInput, match="too long and thin"):
        IMAGENET.apply(torch.zeros(3, 2, 300, dtype=torch.uint8))
    assert UNIT_RANGE.apply(torch.zeros(1, 2, 300, dtype=torch.uint8)).shape == (1, 2, 300)
