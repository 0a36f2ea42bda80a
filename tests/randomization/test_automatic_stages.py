import pytest
import torch
import torchvision
from random_nets import IMAGES, NETS, state, trained
from torch import nn

from probatum.attributions import Gradient
from probatum.errors import ModelError
from probatum.experiments import sanity_check
from probatum.randomization import Identity, Randomizer, Reset, automatic_stages
from probatum.randomization.stages import assign, named_tensors

PLANS = {
    "auxiliary": [("head", "head"), ("stem", "stem norm act")],
    "tied": [("last", "last"), ("left", "left"), ("twice", "twice"), ("first", "first")],
    "functional": [("head", "head"), ("stem", "stem mix shift")],
    "recurrent": [("head", "head"), ("rows", "rows")],
    "resnet": [
        ("4", "4"),
        ("2.downsample.0", "2.downsample.0 2.downsample.1"),
        ("2.conv2", "2.conv2 2.bn2"),
        ("2.conv1", "2.conv1 2.bn1"),
        ("1.conv2", "1.conv2 1.bn2"),
        ("1.conv1", "1.conv1 1.bn1"),
        ("0.0", "0.0 0.1"),
    ],
    "densenet": [
        ("classifier", "classifier"),
        ("features.denseblock2.denselayer2.conv2", "features.denseblock2.denselayer2.conv2 features.norm5"),
    ],
    "vit": [
        ("heads.head", "heads.head"),
        ("encoder.layers.encoder_layer_1.mlp.3", "encoder.layers.encoder_layer_1.mlp.3 encoder.ln"),
        ("encoder.layers.encoder_layer_1.mlp.0", "encoder.layers.encoder_layer_1.mlp.0"),
    ],
}
FIRST_LAYERS = {  # what the end of the cascade randomizes
    "vit": [
        (
            "encoder.layers.encoder_layer_0.self_attention",
            "encoder.layers.encoder_layer_0.self_attention encoder.pos_embedding "
            "encoder.layers.encoder_layer_0.ln_1 encoder.layers.encoder_layer_0.ln_2",
        ),
        ("conv_proj", "conv_proj class_token"),
    ],
    "swin": [
        ("features.1.0.attn.proj", "features.1.0.attn.proj features.1.0.norm2"),
        ("features.1.0.attn.qkv", "features.1.0.attn.qkv features.1.0.attn.relative_position_bias_table"),
        ("features.0.0", "features.0.0 features.0.2 features.1.0.norm1"),
    ],
    "convnext": [
        ("features.1.0.block.5", "features.1.0.block.5 features.1.0.layer_scale"),
        ("features.1.0.block.3", "features.1.0.block.3"),
        ("features.1.0.block.0", "features.1.0.block.0 features.1.0.block.2"),
        ("features.0.0", "features.0.0 features.0.1"),
    ],
}
TORCHVISION = {  # name: (side, stages, unused)
    "resnet18": (64, 21, ()),
    "vgg11": (32, 11, ()),
    "squeezenet1_0": (64, 26, ()),
    "densenet121": (32, 121, ()),
    "inception_v3": (75, 95, ("AuxLogits",)),
    "vit_b_16": (224, 38, ()),
    "swin_t": (64, 53, ()),
    "convnext_tiny": (32, 59, ()),
}


def pairs(plan):
    return [(stage.name, " ".join(stage.modules)) for stage in plan.stages]


@pytest.mark.parametrize("name", PLANS)
def test_the_cascade_begins_with_the_layers_called_last(name):
    found = pairs(automatic_stages(trained(name), IMAGES))
    assert found[: len(PLANS[name])] == PLANS[name]


@pytest.mark.parametrize("name", FIRST_LAYERS)
def test_the_cascade_ends_with_the_layers_called_first(name):
    found = pairs(automatic_stages(trained(name), IMAGES))
    assert found[-len(FIRST_LAYERS[name]) :] == FIRST_LAYERS[name]


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_parameter_of_torchvision_models_is_in_one_stage_or_unused(name):
    side, stages, unused = TORCHVISION[name]
    options = {"init_weights": False} if unused else {}
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(**options)
    if name not in ("vgg11", "vit_b_16"):  # stages depend on shapes alone, and only these two are large
        model.to_empty(device="cpu").load_state_dict(
            {key: torch.zeros(()).expand_as(each) for key, each in model.state_dict().items()}
        )
    plan = automatic_stages(model, torch.zeros(1, 3, side, side, device=next(model.parameters()).device))
    assert (len(plan.stages), plan.unused) == (stages, unused)
    staged = set(assign(model, plan))
    idle = {key for key in named_tensors(model) if key.startswith(tuple(f"{path}." for path in unused))}
    assert staged | idle == set(named_tensors(model))
    assert not staged & idle


@pytest.mark.parametrize("name", NETS)
def test_watching_leaves_the_model_and_the_random_state_as_found(name):
    model = trained(name).train()
    before, random_state = state(model), torch.get_rng_state()
    automatic_stages(model, IMAGES)
    assert model.training
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_evaluation_leaves_out_is_reported():
    assert automatic_stages(trained("auxiliary"), IMAGES).unused == ("auxiliary",)


def test_interleaved_branches_keep_their_batch_norm():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.norm_a, self.norm_b = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

        def forward(self, x):
            a, b = self.a(x), self.b(x)
            return (self.norm_a(a) + self.norm_b(b)).mean((2, 3))

    assert pairs(automatic_stages(Branches(), IMAGES)) == [("b", "b norm_b"), ("a", "a norm_a")]


def test_a_norm_on_the_input_joins_the_first_layer():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.Flatten())
    assert pairs(automatic_stages(model, IMAGES)) == [("1", "1 0")]


def test_a_bare_layer_is_a_model():
    assert pairs(automatic_stages(nn.Linear(32, 5), IMAGES)) == [("weight", "weight bias")]


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ModelError, match="uses no parameters"):
        automatic_stages(nn.Sequential(nn.Flatten(), nn.Softmax(1)), IMAGES)


class Scale(nn.Module):
    """Multiplies by a parameter in a way of the test's choice."""

    def __init__(self, multiply):
        super().__init__()
        self.body = nn.Conv2d(3, 4, 1)
        self.scale = nn.Parameter(torch.ones(()))
        self.multiply = multiply

    def forward(self, x):
        return self.multiply(self.body(x), self.scale).mean((2, 3))


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        return x * scale

    @staticmethod
    def backward(ctx, gradient):
        return gradient, gradient.sum()


class Ignorant(Product):
    @staticmethod
    def forward(ctx, x, scale):
        return x.clone()


@pytest.mark.parametrize(
    "multiply", [Product.apply, lambda x, scale: x * scale.item(), lambda x, scale: x * scale.tolist()]
)
def test_a_parameter_is_used_however_its_value_is_read(multiply):
    assert pairs(automatic_stages(Scale(multiply), IMAGES)) == [("body", "body scale")]


def test_asking_a_parameter_for_its_type_is_no_use():
    assert automatic_stages(Scale(lambda x, scale: x.to(scale.dtype)), IMAGES).unused == ("scale",)


def test_a_parameter_that_is_used_unseen_is_refused_by_name():
    with pytest.raises(ModelError, match="scale of Scale"):
        automatic_stages(Scale(Ignorant.apply), IMAGES)


class Experts(nn.Module):
    """A mixture of experts: the sign of the image's mean chooses the one that is used."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(1, 1)
        self.stem = nn.Linear(12, 8)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.stem(x.flatten(1))
        rows = [self.experts[int(row.mean() > 0)](each) for row, each in zip(x, hidden, strict=True)]
        return self.head(torch.stack(rows)) + 0 * self.gate(x.flatten(1).mean(1, keepdim=True))


def dark_and_bright() -> torch.Tensor:
    return torch.stack([torch.full((3, 2, 2), value) for value in (-1.0, -2.0, 1.0)])


def test_an_expert_that_only_the_last_image_reaches_is_in_the_stages_at_its_place():
    model = Experts().eval()
    plan = automatic_stages(model, dark_and_bright())
    assert plan.unused == ()
    assert [stage.name for stage in plan.stages] == ["gate", "head", "experts.0", "experts.1", "stem"]


def test_weights_that_only_another_image_reaches_do_not_stay_trained_unnoticed():
    model, images = Experts().eval(), dark_and_bright()
    plan = automatic_stages(model, images[:1])
    assert plan.unused == ("experts.1",)
    randomizer = Randomizer(model, plan, Reset())
    randomizer.require_unused(model, images[:2])
    with pytest.raises(ModelError, match=r"experts\.1"):
        randomizer.require_unused(randomizer.model(len(plan.stages)), images)
    with pytest.raises(ModelError, match=r"experts\.1"):
        sanity_check(model, images, methods={"gradient": Gradient()}, metrics=["pearson"], randomizer=randomizer)
    Randomizer(model, plan, Identity()).require_unused(model, images)
