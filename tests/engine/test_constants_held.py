"""The rule that holds constants: the law of conservation, spellings of one function, and what is refused."""

import math
from functools import partial

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import flex_attention
from torchvision.models import convnext, swin_transformer

from probatum.attributions import ConservativePropagation, Gradient, InputXGradient, attribute, attribute_variants
from probatum.engine import ConstantsHeld, InputGradient, Variant, prepare
from probatum.engine.evaluate import evaluate
from probatum.errors import ModelError

HELD = InputGradient(ConstantsHeld())
IMAGES = torch.linspace(-2, 2, 2 * 3 * 16 * 16, dtype=torch.float64).mul(9).sin().reshape(2, 3, 16, 16)
TOKENS = torch.linspace(-2, 2, 2 * 5 * 8, dtype=torch.float64).mul(7).sin().reshape(2, 5, 8)


def drawn(make):
    """A network of float64 with biases, scales and embeddings that are not their usual zeros and ones."""
    torch.manual_seed(0)
    model = make()
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.4)
    return model.double().eval()


def conservation(model, inputs, extra=None):
    """The signal, and how far the law is off as a share of what is summed."""
    signal, delta, size = evaluate(prepare(model, extra=extra), inputs, None, frozenset({HELD}))[0][HELD]
    return signal, abs(float(delta)) / float(size)


def vit():
    return torchvision.models.VisionTransformer(16, 8, 2, 2, 8, 16, num_classes=3)


def swin(**parts):
    return torchvision.models.SwinTransformer([2, 2], 8, [2, 1], [2, 2], [2, 2], num_classes=3, **parts)


def maxvit():
    return torchvision.models.MaxVit((16, 16), 8, 2, [8, 8], [1, 1], 4, 0.2, num_classes=3)


NETWORKS = {
    "vit": vit,
    "maxvit": maxvit,
    "swin": swin,
    "swin-v2": partial(
        swin, block=swin_transformer.SwinTransformerBlockV2, downsample_layer=swin_transformer.PatchMergingV2
    ),
    "convnext": lambda: convnext.ConvNeXt([convnext.CNBlockConfig(8, None, 2)], num_classes=3),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_signals_and_constants_add_up_to_the_logit(name):
    model = drawn(NETWORKS[name])
    signal, lacking = conservation(model, IMAGES)
    assert lacking < 1e-13
    assert not torch.allclose(signal, Gradient()(model, IMAGES), rtol=0.01, atol=0)


def vit_written_out(model, image):
    """The class token's logits of torchvision's ViT in plain formulas, with constants detached."""
    weights = dict(model.named_parameters())

    def affine(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, x):
        centered = x - x.mean(-1, keepdim=True)
        deviation = (centered.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return centered / deviation.detach() * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    patches = [image[:, r : r + 8, c : c + 8].reshape(-1) for r in (0, 8) for c in (0, 8)]
    kernel = weights["conv_proj.weight"].reshape(8, -1)
    x = torch.stack([weights["class_token"][0, 0], *(kernel @ each + weights["conv_proj.bias"] for each in patches)])
    x = x + weights["encoder.pos_embedding"][0]
    for block in ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1"):
        normed = norm(f"{block}.ln_1", x)
        attention = f"{block}.self_attention"
        query, key, value = (
            normed @ weights[f"{attention}.in_proj_weight"].T + weights[f"{attention}.in_proj_bias"]
        ).split(8, -1)
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = query[:, head] @ key[:, head].T / 2
            heads.append(scores.softmax(-1).detach() @ value[:, head])
        x = x + affine(f"{attention}.out_proj", torch.cat(heads, -1))
        hidden = affine(f"{block}.mlp.0", norm(f"{block}.ln_2", x))
        slope = (1 + torch.erf(hidden / math.sqrt(2))) / 2  # GELU(x) / x
        x = x + affine(f"{block}.mlp.3", hidden * slope.detach())
    return affine("heads.head", norm("encoder.ln", x)[0])


def test_a_vit_equals_one_that_is_written_out_in_formulas():
    model = drawn(vit)
    maps = ConservativePropagation()(model, IMAGES, 1)
    for image, found in zip(IMAGES, maps, strict=True):
        x = image.clone().requires_grad_()
        logits = vit_written_out(model, x)
        torch.testing.assert_close(logits, model(image[None])[0], rtol=1e-12, atol=1e-12)
        (expected,) = torch.autograd.grad(logits[1], x)
        torch.testing.assert_close(found, image * expected, rtol=1e-10, atol=1e-14)


class Net(nn.Module):
    """Two linear layers around a function of (batch, tokens, 8)."""

    def __init__(self, function, width=8):
        super().__init__()
        self.function, self.first, self.last = function, nn.Linear(8, 8), nn.Linear(width, 3)
        self.double()

    def forward(self, x):
        return self.last(self.function(self.first(x))).mean(1)


def signal_through(function, width=8):
    signal, lacking = conservation(drawn(lambda: Net(function, width)), TOKENS)
    assert lacking < 1e-13
    return signal


def by_hand(x):
    return x * x.square().add(1e-6).mean(-1, keepdim=True).rsqrt()


SPELLINGS = {
    "SiLU": (F.silu, lambda x: x * torch.sigmoid(x)),
    "SiLU in place": (F.silu, lambda x: F.silu(x * 1, inplace=True)),
    "quotient by 1 + exp(−x)": (F.silu, lambda x: x / (1 + (-x).exp())),
    "GELU": (F.gelu, lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))),
    "GELU by tanh": (
        partial(F.gelu, approximate="tanh"),
        lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3)))),
    ),
    "GLU": (lambda x: F.glu(x).repeat(1, 1, 2), lambda x: (x[..., :4] * x[..., 4:].sigmoid()).repeat(1, 1, 2)),
    "RMS norm": (lambda x: F.rms_norm(x, (8,), eps=1e-6), by_hand),
    "layer norm": (
        lambda x: F.layer_norm(x, (8,), eps=1e-6),
        lambda x: (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, correction=0, keepdim=True) + 1e-6),
    ),
    "layer norm as group norm": (
        lambda x: F.layer_norm(x, (8,)),
        lambda x: F.group_norm(x.flatten(0, 1), 1).reshape(x.shape),
    ),
    "unit length": (lambda x: F.normalize(x, dim=-1), lambda x: x / x.norm(dim=-1, keepdim=True)),
    "attention": (
        lambda x: F.scaled_dot_product_attention(x, x, x),
        lambda x: (x @ x.mT / math.sqrt(8)).softmax(-1) @ x,
    ),
    "attention, weights by einsum": (
        lambda x: F.scaled_dot_product_attention(x, x, x, scale=1.0),
        lambda x: torch.einsum("bij,bjc->bic", torch.einsum("bic,bjc->bij", x, x).softmax(-1), x),
    ),
    "softmax by hand": (
        lambda x: F.scaled_dot_product_attention(x, x, x, scale=1.0),
        lambda x: ((x @ x.mT).exp() / (x @ x.mT).exp().sum(-1, keepdim=True)) @ x,
    ),
    "the larger gates": (
        lambda x: x * x.softmax(-1).topk(2).values.repeat(1, 1, 4),
        lambda x: x * (gates := x.softmax(-1)).gather(-1, gates.topk(2).indices).repeat(1, 1, 4),
    ),
    "affine map": (
        lambda x: x * 2 + 3,
        lambda x: torch.addmm(x.new_tensor(1.5), x.flatten(0, 1), x.new_ones(8).diag(), beta=2, alpha=2).reshape(
            x.shape
        ),
    ),
    "square": (torch.square, lambda x: x * x),
    "an input that is overwritten": (
        lambda x: x.tanh() + x.sigmoid() + 2 * x,
        lambda x: (y := x * 1).tanh() + y.sigmoid() + y.mul_(2),
    ),
    "a class token": (
        lambda x: torch.cat([x[..., :4], x.new_ones(2, 5, 4)], dim=-1),
        lambda x: torch.concatenate([x[..., :4], x.new_ones(2, 5, 4)], axis=-1),
    ),
    "ELU": (F.elu, lambda x: torch.where(x > 0, x, x.expm1())),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_of_one_function_give_one_signal(name):
    first, second = map(signal_through, SPELLINGS[name])
    torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "cos", "exp", "tanh", "hardswish", "mish", "relu6", "softmax"])
def test_functions_that_are_not_zero_at_zero_add_a_constant(name):
    function = getattr(F, name, None) or getattr(torch, name)
    signal_through(partial(function, dim=-1) if name == "softmax" else function)


def test_factors_of_a_product_get_half_each_and_all_of_a_gated_one():
    a, b = torch.tensor([[2.0]]).double(), torch.tensor([[3.0]]).double()
    pair = torch.cat([a, b], 1)

    class Product(nn.Module):
        def forward(self, x):
            return (x[:, :1] * x[:, 1:]).repeat(1, 2)

    class Gated(nn.Module):
        def forward(self, x):
            return (x[:, :1] * x[:, 1:].sigmoid()).repeat(1, 2)

    assert ConservativePropagation()(Product(), pair, 0).tolist() == [[3.0, 3.0]]
    expected = torch.cat([a * b.sigmoid(), torch.zeros_like(b)], 1)
    found = ConservativePropagation()(Gated(), pair, 0, precision="float64")
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


def test_an_activation_at_zero_has_its_derivative():
    class Sum(nn.Module):
        def forward(self, x):
            return F.gelu(x).sum(1, keepdim=True).repeat(1, 2)

    maps = ConservativePropagation(multiply_by_inputs=False)(Sum(), torch.zeros(1, 4).double(), 0)
    assert maps.tolist() == [[0.5] * 4]


@pytest.mark.parametrize("others", [(), (Gradient(),)], ids=["alone", "beside others"])
def test_an_activation_of_an_infinite_number_is_no_number(others):
    class Saturated(nn.Module):
        def forward(self, x):
            return F.elu(1e300 * x * x).tanh()  # 1, whatever the slope of ELU is taken for

    image = torch.full((1, 2), 1e10).double()
    with pytest.raises(ModelError, match=r"nan|NaN") as caught:
        attribute(Saturated(), image, 1, [ConservativePropagation(), *others])
    assert "the logits" not in str(caught.value)


def test_multi_head_attention_equals_its_parts():
    model = drawn(lambda: nn.MultiheadAttention(8, 2, batch_first=True))

    class Whole(nn.Module):
        def __init__(self, **options):
            super().__init__()
            self.attention, self.options = model, options

        def forward(self, x):
            return self.attention(x, x, x, **self.options)[0].mean(1)

    weights = conservation(Whole(need_weights=True), TOKENS)
    fused = conservation(Whole(need_weights=False), TOKENS)
    assert max(weights[1], fused[1]) < 1e-13
    torch.testing.assert_close(weights[0], fused[0], rtol=1e-10, atol=1e-14)


def test_a_signal_beside_others_is_the_one_alone():
    model = drawn(vit)
    held = ConservativePropagation()
    together = attribute(model, IMAGES, 1, [held, InputXGradient()])
    torch.testing.assert_close(together[held.title], held(model, IMAGES, 1), rtol=1e-12, atol=1e-16)
    torch.testing.assert_close(together["Input × Gradient"], InputXGradient()(model, IMAGES, 1), rtol=1e-12, atol=1e-16)


LOOKS = torch.tensor([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]]).bool()
ATTENTIONS = {
    "plain": {},
    "causal, scaled": {"is_causal": True, "scale": 0.7},
    "mask, nothing to look at": {"attn_mask": LOOKS},
    "added mask": {"attn_mask": torch.zeros(5, 5).double().masked_fill(~LOOKS, -2.0)},
    "grouped queries": {"enable_gqa": True},
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_alone_gives_the_signal_that_it_gives_beside_a_gradient(name):
    options = ATTENTIONS[name]

    def attend(x):
        query, key = (x.unflatten(-1, (4, 2)).transpose(1, 2) for _ in range(2))
        if options.get("enable_gqa"):
            key = key[:, :2]
        return F.scaled_dot_product_attention(query, key, key, **options).transpose(1, 2).flatten(2)

    prepared = prepare(drawn(lambda: Net(attend)))
    alone, together = (
        evaluate(prepared, TOKENS, None, frozenset({HELD, *more}))[0][HELD] for more in ((), (InputGradient(),))
    )
    for found, expected in zip(alone, together, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x.cumprod(-1), "cumprod"),
        (lambda x: (x.square() + 1).log(), "log"),
        (lambda x: 1 / (x + 9), "rdiv"),
        (lambda x: torch.pow(2.0, x), "pow"),
        (lambda x: torch.maximum(x, x.new_ones(8)), "maximum"),
    ],
)
def test_calls_without_a_rule_are_named(function, name):
    with pytest.raises(ModelError, match=name):
        ConservativePropagation()(drawn(lambda: Net(function)), TOKENS)


def test_calls_without_a_rule_behind_held_constants_do_not_matter():
    signal_through(lambda x: (x.cumprod(-1) @ x.mT).softmax(-1) @ x)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, arriving):
        return 2 * ctx.saved_tensors[0] * arriving


def test_values_past_the_rules_break_the_law():
    with pytest.raises(ModelError, match=r"add up.*Squared \(read in 'last'\)"):
        ConservativePropagation()(drawn(lambda: Net(Squared.apply)), TOKENS)


class Doubled(Squared):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, arriving):
        return 2 * arriving


def test_a_custom_function_that_keeps_the_law_is_no_error():
    plain = signal_through(lambda x: 2 * x)
    assert torch.equal(signal_through(Doubled.apply), plain)


def flash(x):
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*(x[:, None],) * 3)[0][:, 0]


def flex(x):
    return flex_attention(x[:, None], x[:, None], x[:, None])[:, 0]


@pytest.mark.parametrize(
    ("function", "named"),
    [(flash, "flash_attention_for_cpu in"), (flex, "Net of Net is not implemented")],
)
def test_attention_that_hides_its_parts_names_the_way_out(function, named):
    with pytest.raises(ModelError, match=f"{named}.*attn_implementation"):
        ConservativePropagation()(drawn(lambda: Net(function)), TOKENS)


def test_versions_of_a_model_that_share_layers_get_the_maps_they_get_alone():
    models = [drawn(vit) for _ in range(3)]
    for model, layer in zip(models[1:], ("heads", "encoder.layers.encoder_layer_1"), strict=True):
        for parameter in model.get_submodule(layer).parameters():
            nn.init.normal_(parameter, 0, 0.5)
    methods = {"held": ConservativePropagation(), "plain": Gradient()}
    variants = [Variant(prepare(model), 1) for model in models]
    for model, maps in zip(models, attribute_variants(variants, IMAGES, methods), strict=True):
        alone = attribute(model, IMAGES, 1, methods)
        torch.testing.assert_close(maps, alone, rtol=1e-12, atol=1e-16)
