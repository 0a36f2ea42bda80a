import argparse
import json
import zipfile

import pytest
import torch
from torch import nn

from probatum.errors import InvalidInput
from probatum.models import BasicCNN, load_checkpoint, load_model, save_checkpoint
from probatum.models.checkpoints import other_classes
from probatum.models.registry import find_source
from probatum.models.state_files import read_state


@pytest.fixture
def trained():
    return load_model("basic_cnn", "none", seed=4)


def test_round_trip(trained, tmp_path):
    path = tmp_path / "new folder" / "cnn.pt"
    save_checkpoint(trained, path)
    assert [file.name for file in path.parent.iterdir()] == ["cnn.pt"]
    loaded = load_model("basic_cnn", path)
    assert not loaded.training
    for key, value in trained.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])


def test_a_failed_save_keeps_the_old_file(trained, tmp_path, monkeypatch):
    path = tmp_path / "cnn.pt"
    save_checkpoint(trained, path)
    content = path.read_bytes()

    def fail(_state, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(trained, path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def nested(*keys):
    """Puts a state dict under keys, beside what training programs store there."""

    def wrap(state):
        for key in reversed(keys):
            state = {"epoch": 3, "optimizer": {"state": {}}, key: state}
        return state

    return wrap


@pytest.fixture
def tiny():
    """A network of two layers, and a copy without its weights."""
    return [nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)) for _ in range(2)]


@pytest.mark.parametrize(
    ("keys", "prefix"),
    [
        *(((), prefix) for prefix in ("module.", "model.", "backbone.", "_orig_mod.", "model._orig_mod.module.")),
        *(((key,), "module.") for key in ("state_dict", "model_state_dict", "model", "net", "model_ema", "ema")),
        *((("ema", "module"), ""), (("model", "state_dict"), "net.")),
    ],
)
def test_keys_as_training_programs_write_them(tiny, tmp_path, keys, prefix):
    model, loaded = tiny
    torch.save(nested(*keys)({f"{prefix}{key}": value for key, value in model.state_dict().items()}), tmp_path / "w.pt")
    load_checkpoint(loaded, tmp_path / "w.pt")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in model.state_dict().items())


def test_the_plain_weights_go_before_averaged_ones(trained, tmp_path):
    path, zeros = tmp_path / "two.pt", {key: 0 * value for key, value in trained.state_dict().items()}
    torch.save({"model_ema": zeros, "model": trained.state_dict()}, path)
    assert torch.equal(load_model("basic_cnn", path).conv1.weight, trained.conv1.weight)


def test_weights_of_a_loss_and_the_counter_of_averaged_weights_are_left_out(trained, tmp_path):
    path = tmp_path / "lightning.ckpt"
    state = {f"model.{key}": value for key, value in trained.state_dict().items()}
    torch.save({"state_dict": state | {"criterion.weight": torch.ones(10), "n_averaged": torch.tensor(4)}}, path)
    assert torch.equal(load_model("basic_cnn", path).conv1.weight, trained.conv1.weight)


def test_a_second_network_in_the_file_is_not_left_out(trained, tmp_path):
    path = tmp_path / "two.pt"
    state = {f"backbone.{key}": value for key, value in trained.state_dict().items()}
    torch.save(state | {"head.weight": torch.ones(3, 10)}, path)
    with pytest.raises(InvalidInput, match="missing, first conv1"):
        load_model("basic_cnn", path)


def test_a_prefix_that_the_model_has_itself_stays(tmp_path):
    model = nn.ModuleDict({"model": nn.Linear(2, 2), "module": nn.Linear(2, 2)})
    for key in ("", "module."):
        torch.save(
            {f"{key}{name}": torch.full_like(value, 3.0) for name, value in model.state_dict().items()},
            path := tmp_path / "w.pt",
        )
        load_checkpoint(model, path)
        assert all(bool((value == 3).all()) for value in model.state_dict().values())


def test_a_model_of_which_a_part_was_compiled(tiny, tmp_path):
    model, loaded = tiny
    torch.save({f"{key[0]}._orig_mod{key[1:]}": value for key, value in model.state_dict().items()}, tmp_path / "w.pt")
    load_checkpoint(loaded, tmp_path / "w.pt")
    assert torch.equal(model[1].weight, loaded[1].weight)


def test_misfits_name_their_first_keys(trained, tmp_path):
    state = trained.state_dict()
    del state["conv2.bias"]
    state["extra"] = torch.zeros(1)
    state["linear2.weight"] = torch.zeros(5, 1024)
    path = tmp_path / "other.pt"
    torch.save(state, path)
    with pytest.raises(InvalidInput) as caught:
        load_model("basic_cnn", path)
    message = str(caught.value)
    assert "missing, first conv2.bias" in message
    assert "unexpected, first extra" in message
    assert "save the entries of this model alone" in message
    assert "first linear2.weight: (5, 1024) in the file, (10, 1024) in the model" in message


@pytest.mark.parametrize("content", [b"not a checkpoint at all", b"PK\x03\x04 cut short"])
def test_files_that_are_no_checkpoint(content, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="weights_only"):
        load_checkpoint(BasicCNN(), path)


def scripted(path):
    """The entries by which an archive of TorchScript is told."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "version"):
            archive.writestr(f"model/{name}", b"\x80\x02}.")


FOREIGN = {
    "empty": lambda path: path.touch(),
    "web page": lambda path: path.write_text("\n<!DOCTYPE html><html><title>404</title></html>"),
    "Git LFS": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "HDF5": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "BasicCNN": lambda path: torch.save(BasicCNN(), path),
    "argparse.Namespace": lambda path: torch.save({"state_dict": {}, "args": argparse.Namespace(lr=1)}, path),
    "TorchScript": scripted,
    "archive": lambda path: zipfile.ZipFile(path, "w").writestr("a.txt", "a"),
    "damaged safetensors": lambda path: path.write_bytes((100).to_bytes(8, "little") + b'{"a": 1}'),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_kind_is_named(name, tmp_path):
    path = tmp_path / "weights.pt"
    FOREIGN[name](path)
    with pytest.raises(InvalidInput, match=name) as caught:
        load_checkpoint(BasicCNN(), path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [torch.zeros(3), {}, {"epoch": 1}, [1, 2]])
def test_tensors_that_are_no_state_dict(content, tmp_path):
    torch.save(content, tmp_path / "thing.pt")
    with pytest.raises(InvalidInput, match="no state dict"):
        load_checkpoint(BasicCNN(), tmp_path / "thing.pt")


def test_missing_file_and_nan(trained, tmp_path):
    with pytest.raises(InvalidInput, match="no checkpoint file"):
        load_model("basic_cnn", tmp_path / "nowhere.pt")
    with torch.no_grad():
        trained.conv1.bias[3] = torch.nan
    save_checkpoint(trained, tmp_path / "nan.pt")
    with pytest.raises(InvalidInput, match=r"conv1.bias holds values that are not finite"):
        load_model("basic_cnn", tmp_path / "nan.pt")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_nested_tensor_is_named(trained, tmp_path):
    state = dict(trained.state_dict())
    key = next(iter(state))
    state[key] = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(InvalidInput, match=f"{key} is a nested tensor"):
        load_checkpoint(trained, tmp_path / "w.pt")


def safetensors(tensors: dict[str, torch.Tensor], types: dict[torch.dtype, str]) -> bytes:
    """A file of the format, written by hand from its description."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for key, value in tensors.items():
        content = bytes(value.contiguous().reshape(-1).view(torch.uint8).tolist())
        header[key] = {"dtype": types[value.dtype], "shape": list(value.shape)}
        header[key]["data_offsets"] = [len(body), len(body) + len(content)]
        body += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_safetensors_of_every_type(tmp_path):
    types = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    types |= {torch.int64: "I64", torch.int16: "I16", torch.uint8: "U8", torch.bool: "BOOL"}
    state = {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in types} | {"none": torch.zeros(0, 4)}
    (tmp_path / "w.safetensors").write_bytes(safetensors(state, types))
    read = read_state(tmp_path / "w.safetensors")
    assert {key: (value.dtype, value.tolist()) for key, value in read.items()} == {
        key: (value.dtype, value.tolist()) for key, value in state.items()
    }


@pytest.mark.parametrize(
    "offsets",
    [[(0, 8), (0, 8)], [(0, 8), (12, 20)], [(0, 8), (8, 400)], [(-8, 8), (8, 16)], [(0, 4), (4, 12)]],
)
def test_safetensors_whose_entries_overlap_or_lie_outside(offsets, tmp_path):
    header = {f"w{n}": {"dtype": "F32", "shape": [2], "data_offsets": place} for n, place in enumerate(offsets)}
    text = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(20))
    with pytest.raises(InvalidInput, match="damaged safetensors"):
        read_state(tmp_path / "w.safetensors")


FAMILIES = (
    *("alexnet", "convnext_tiny", "densenet121", "googlenet", "inception_v3", "mobilenet_v3_small", "resnet18"),
    *("shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11", "vit_b_16", "basic_cnn", "mlp"),
)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_last_layer_of_every_family_tells_the_number_of_classes(name):
    with torch.device("meta"):
        published, tuned = (find_source(name).build(classes, initialize=False) for classes in (None, 7))
    assert other_classes(published.state_dict(), tuned.state_dict()) == 7
    assert other_classes(published.state_dict(), published.state_dict()) is None


@pytest.mark.parametrize("name", ["squeezenet1_1", "basic_cnn"])
def test_a_fine_tuned_network_has_the_classes_of_its_file(name, tmp_path):
    tuned = load_model(name, "none", 7, seed=3)
    save_checkpoint(tuned, tmp_path / "seven.pt")
    loaded = load_model(name, tmp_path / "seven.pt")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in tuned.state_dict().items())
    with pytest.raises(InvalidInput, match="does not fit"):
        load_model(name, tmp_path / "seven.pt", num_classes=8)


def test_a_wider_inner_layer_is_no_number_of_classes():
    own = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5)).state_dict()
    assert other_classes(own, nn.Sequential(nn.Linear(3, 6), nn.Linear(6, 5)).state_dict()) is None
    grown = own | {"1.weight": torch.zeros(1, 4).expand(10**9, 4), "1.bias": torch.zeros(1).expand(10**9)}
    assert other_classes(own, grown) is None
