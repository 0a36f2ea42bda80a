"""What a forward pass calls, in which order, and which parameters it uses."""

import pytest
import torch
from nets import CLASSES, ConvNet, images, seeded
from torch import nn

from probatum.engine import LayerCall, execution_order, find_layer, used_parameters
from probatum.errors import ModelError, UnknownName


def test_layers_are_listed_as_they_are_called():
    calls = execution_order(seeded(ConvNet), images())
    assert calls == (
        LayerCall("conv1", "Conv2d", 1),
        LayerCall("bn1", "BatchNorm2d", 1),
        LayerCall("relu", "ReLU", 2),
        LayerCall("pool", "MaxPool2d", 1),
        LayerCall("conv2", "Conv2d", 1),
        LayerCall("conv3", "Conv2d", 1),
        LayerCall("drop", "Dropout", 1),
        LayerCall("head", "Linear", 1),
    )


class Backwards(nn.Module):
    """Registers its layers in another order than it calls them, and one that it never calls in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, CLASSES)
        self.late = nn.Conv2d(3, 3, 1)
        self.auxiliary = nn.Conv2d(3, 3, 1)
        self.early = nn.Conv2d(2, 3, 1)
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.count = nn.Parameter(torch.tensor(7), requires_grad=False)

    def forward(self, x):
        x = self.early(x) * self.scale
        if self.training:
            self.auxiliary(x)
        return self.head(self.late(x).mean((2, 3)))


def test_execution_not_registration_decides():
    model = seeded(Backwards).train()
    assert [call.path for call in execution_order(model, images())] == ["", "early", "late", "head"]
    assert model.training


def test_parameters_that_the_logits_do_not_need_are_left_out():
    model = seeded(Backwards)
    assert used_parameters(model, images()) == {
        "scale",
        *(f"{layer}.{kind}" for layer in ("early", "late", "head") for kind in ("weight", "bias")),
    }
    assert all(p.grad is None for p in model.parameters())


def test_every_name_of_a_tied_parameter_is_used():
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(198, 198), nn.Linear(198, 198), nn.Linear(198, 2)))
    model[2].weight = model[1].weight
    model[3].requires_grad_(False)  # the caller's flags do not matter
    assert used_parameters(model, images()) == set(dict(model.named_parameters(remove_duplicate=False)))


def test_a_model_without_parameters_uses_none_and_neither_does_one_that_detaches_them():
    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1)).detach()

    assert used_parameters(nn.Flatten(), images()) == frozenset()
    assert used_parameters(Detached(198, 2).double(), images()) == frozenset()


def test_transformer_layers_are_seen_through():
    def build():
        return nn.Sequential(
            nn.Flatten(2), nn.TransformerEncoderLayer(99, 3, 8, batch_first=True), nn.Flatten(), nn.Linear(198, 3)
        )

    model = seeded(build).eval()
    with torch.no_grad():
        paths = [call.path for call in execution_order(model, images())]
        used = used_parameters(model, images())
    assert [path for path in paths if path.startswith("1.linear")] == ["1.linear1", "1.linear2"]
    assert "1.self_attn" in paths  # whose output projection is called by a fused operation
    assert used == set(dict(model.named_parameters()))


@pytest.mark.parametrize("look", [execution_order, used_parameters])
def test_looking_leaves_the_model_and_the_random_state_as_they_were(look):
    model = seeded(ConvNet).train()
    mean, state = model.bn1.running_mean.clone(), torch.get_rng_state()
    with torch.inference_mode():
        look(model, images())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.bn1.running_mean, mean)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_model_without_logits_is_refused():
    class Words(nn.Module):
        def forward(self, x):
            return "cat", 3

    with pytest.raises(ModelError, match="Words returns a tuple of str, int"):
        used_parameters(Words(), images())


def test_a_layer_is_found_by_its_whole_path_alone():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1)), nn.ReLU())
    assert find_layer(model, "0.0") is model[0][0]
    for path in ("", "0.", "0.1", ".0", "relu"):
        with pytest.raises(UnknownName, match="no layer of Sequential is called"):
            find_layer(model, path)


def test_a_misspelt_layer_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="no layer of ConvNet is called 'Conv_3'; did you mean 'conv3'"):
        find_layer(ConvNet(), "Conv_3")
    with pytest.raises(UnknownName, match="choose from: conv1, bn1, relu, pool, conv2, conv3, drop, head"):
        find_layer(ConvNet(), "zzzzzz")
