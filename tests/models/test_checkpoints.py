import pytest
import torch

from probatum.errors import InvalidInput
from probatum.models import BasicCNN, load_checkpoint, load_model, save_checkpoint


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


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_wrapped_and_parallel_checkpoints(trained, tmp_path, wrap):
    path = tmp_path / "wrapped.pt"
    torch.save(wrap({f"module.{key}": value for key, value in trained.state_dict().items()}), path)
    assert torch.equal(load_model("basic_cnn", path).conv1.weight, trained.conv1.weight)


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
    assert "first linear2.weight: (5, 1024) in the file, (10, 1024) in the model" in message


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"PK\x03\x04 cut short"])
def test_files_that_are_no_checkpoint(content, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="weights_only"):
        load_checkpoint(BasicCNN(), path)


def test_pickled_model_is_not_executed(trained, tmp_path):
    torch.save(trained, tmp_path / "model.pt")
    with pytest.raises(InvalidInput, match="state_dict"):
        load_checkpoint(BasicCNN(), tmp_path / "model.pt")


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
