import pytest
import torch

from probatum.errors import InvalidInput
from probatum.models import load_model, save_checkpoint
from probatum.models.pairs import load_pretrained, make_pair_cnn


@pytest.mark.parametrize("size", [(28, 56), (64, 128)])
def test_the_pair_cnn_takes_images_of_any_size(size):
    model = make_pair_cnn(3, 5)
    assert not model.training
    assert model(torch.zeros(2, 3, *size)).shape == (2, 5)
    # 5·5·3·32 + 32, 3·3·32·64 + 64, 3·3·64·128 + 128, 128·5 + 5
    assert sum(p.numel() for p in model.parameters()) == 2432 + 18496 + 73856 + 645


def test_the_weights_depend_on_the_seed_alone():
    before = torch.random.get_rng_state()
    one, same, other = make_pair_cnn(1, 5, 3), make_pair_cnn(1, 5, 3), make_pair_cnn(1, 5, 4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.conv1.weight, same.conv1.weight)
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_a_pretrained_network_keeps_all_but_its_last_layer(tmp_path):
    path = tmp_path / "weights.pt"
    save_checkpoint(load_model("squeezenet1_0", "none", seed=7), path)
    pretrained, copy = load_pretrained("squeezenet1_0", path, 5, seed=1)
    known, own = pretrained.state_dict(), copy.state_dict()
    changed = {key for key in own if own[key].shape != known[key].shape}
    assert changed == {"classifier.1.weight", "classifier.1.bias"}
    assert all(torch.equal(own[key], known[key]) for key in own if key not in changed)
    assert copy(torch.zeros(1, 3, 64, 128)).shape == (1, 5)
    own["features.0.weight"].zero_()
    assert known["features.0.weight"].any()  # nothing is shared
    with pytest.raises(InvalidInput, match="no checkpoint"):
        load_pretrained("squeezenet1_0", tmp_path / "none.pt", 5)
