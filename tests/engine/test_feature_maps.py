"""Which layer Grad-CAM reads, and in which layout: small networks of every kind, against maps by plain autograd."""

import pytest
import torch
from nets import CLASSES, ConvNet, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import GradCAM, GuidedBackprop, GuidedGradCAM, SmoothGrad
from probatum.engine import Tokens, as_layout, prepare, prepare_like
from probatum.errors import InvalidInput, ModelError, UnknownName

WIDTH = 6


def by_hand(model, layer, x, target, read):
    """Grad-CAM by plain autograd; `read` brings the layer's output to (batch, channel, *space)."""
    made = []
    with model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: made.append(output)):
        logits = model(x.clone().requires_grad_())
    (gradient,) = torch.autograd.grad(logits[:, target].sum(), made[0])
    features, gradients = read(made[0].detach()), read(gradient)
    weights = gradients.flatten(2).mean(2)
    cam = torch.einsum("bk,bk...->b...", weights, features)[:, None].relu()
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[x.ndim - 2]
    return F.interpolate(cam, size=x.shape[2:], mode=mode, align_corners=False)


def nchw(values):
    return values


def nhwc(values):
    return torch.stack(list(values.unbind(-1)), dim=1)


def tokens(prefix, *grid):
    def read(values):
        return torch.stack([values[:, prefix:, k].reshape(len(values), *grid) for k in range(values.shape[2])], dim=1)

    return read


def conv(inputs, outputs, size=3, stride=1, dims=2):
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    return kind(inputs, outputs, size, stride=stride, padding=size // 2)


class Net(nn.Module):
    """A convolution, something in the middle, and a linear layer on the mean over places."""

    def __init__(self, dims: int = 2) -> None:
        super().__init__()
        self.stem = conv(2, WIDTH, dims=dims)
        self.act = nn.ReLU()
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        return self.fc(self.middle(self.act(self.stem(x))).flatten(2).mean(2))

    def middle(self, x):
        return x


class SqueezeAndExcitation(Net):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.down, self.up = conv(WIDTH, WIDTH), conv(WIDTH, 2, 1), conv(2, WIDTH, 1)
        self.out = nn.Identity()

    def middle(self, x):
        y = self.body(x)
        gate = self.up(self.down(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.out(x + y * gate)


class ConvolutionalHead(Net):
    def __init__(self) -> None:
        super().__init__()
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), conv(WIDTH, WIDTH, 1)

    def middle(self, x):
        return self.head(self.pool(x)).relu()


class ConvolutionalClassifier(Net):
    """SqueezeNet's head: class maps, rectified and averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Sequential(conv(WIDTH, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return self.fc(self.act(self.stem(x)))


class Branches(Net):
    """An Inception block, which nothing but a module of its own puts together."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Inception()

    def middle(self, x):
        return self.block(x)


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(WIDTH, 4, 1), conv(WIDTH, 2)

    def forward(self, x):
        return torch.cat([self.left(x), self.right(x)], 1)


class Residual(nn.Module):
    """A residual block whose shortcut runs last."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.shortcut = conv(WIDTH, WIDTH), conv(WIDTH, WIDTH, 1)

    def forward(self, x):
        y = self.body(x)
        y += self.shortcut(x)
        return y


class Shortcut(Net):
    def __init__(self) -> None:
        super().__init__()
        self.block = Residual()

    def middle(self, x):
        return self.block(x)


class Adapted(nn.Module):
    """A convolution with a low-rank adapter beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.down, self.up = conv(WIDTH, WIDTH), conv(WIDTH, 1), conv(1, WIDTH, 1)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x)) * 2


class LoRA(Net):
    def __init__(self) -> None:
        super().__init__()
        self.adapted = Adapted()

    def middle(self, x):
        return self.adapted(x)


class Dense(Net):
    """A dense block: each layer adds two channels; a batch norm reads them all."""

    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.ModuleList([conv(2, 2), conv(4, 2)])
        self.stem, self.norm = conv(2, 2), nn.BatchNorm2d(WIDTH)

    def middle(self, x):
        for layer in self.grow:
            x = torch.cat([x, layer(x)], 1)
        return F.relu(self.norm(x))


class Pooled(Net):
    """VGG's end: pooling makes no features, so what it reads is taken, at its resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Sequential(conv(WIDTH, WIDTH), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout())

    def middle(self, x):
        return self.last(x)


class Twice(Net):
    """A ReLU that is called twice has no one output; the block around its second call has."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(conv(WIDTH, WIDTH), self.act)

    def middle(self, x):
        return self.block(x)


class Overwritten(Net):
    """The last convolution's output is overwritten in place, and so is a part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = conv(WIDTH, WIDTH)

    def middle(self, x):
        x = self.last(x)
        x.mul_(-3)
        x[:, 1:3].mul_(2)
        return x


class ChannelsBehind(Net):
    """ConvNeXt's inner layers, and Swin's windows: cut out, shifted, and put together again."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mlp, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Identity()
        self.last = nn.LayerNorm(WIDTH)

    def middle(self, x):
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, 1, 0, 1))  # (batch, 12, 10, channel)
        batch, height, width, channels = x.shape
        windows = x.roll((1, 1), (1, 2)).view(batch, height // 2, 2, width // 2, 2, channels).transpose(2, 3)
        windows = self.mlp(self.norm(windows.reshape(-1, 4, channels)))
        windows = windows.view(batch, height // 2, width // 2, 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
        x = x + F.gelu(windows.reshape(x.shape).roll((-1, -1), (1, 2)))
        return self.last(x[:, :-1, :-1]).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """A block of a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj, self.mlp = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, 2, WIDTH // 2)).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.proj(y)
        return x + F.gelu(self.mlp(self.norm2(x)))


class Transformer(nn.Module):
    """A vision transformer with so many class tokens and registers; the logits read the first, or the mean of all."""

    def __init__(self, prefix: int, zero_head: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, WIDTH, 3, stride=3)  # 11 × 9 pixels: 3 × 3 places
        self.prefix = nn.Parameter(torch.randn(1, prefix, WIDTH))
        self.places = nn.Parameter(torch.randn(1, 9, WIDTH))
        self.blocks = nn.Sequential(Attention(), Attention(), Attention())
        self.norm, self.fc = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)
        if zero_head:
            nn.init.zeros_(self.fc.weight)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.places
        prefix = self.prefix.shape[1]
        x = torch.cat([self.prefix.expand(len(x), -1, -1), x], 1)
        x = self.norm(self.blocks(x))
        return self.fc(x[:, 0] if prefix else x.mean(1))


class Mixer(nn.Module):
    """Patches cut out by reshaping, and a linear layer over the places."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.norm = nn.Linear(2 * 9, WIDTH), nn.Linear(9, 9), nn.LayerNorm(WIDTH)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = x[:, :, :9].reshape(-1, 2, 3, 3, 3, 3).permute(0, 2, 4, 1, 3, 5).reshape(-1, 9, 18)
        x = self.embed(x)
        x = x + self.mix(x.transpose(1, 2)).transpose(1, 2)
        return self.fc(self.norm(x).mean(1))


NETS = {
    "squeeze-and-excitation": (SqueezeAndExcitation, "out", "nchw", nchw),
    "convolutional head": (ConvolutionalHead, "act", "nchw", nchw),
    "convolutional classifier": (ConvolutionalClassifier, "act", "nchw", nchw),
    "branches": (Branches, "block", "nchw", nchw),
    "shortcut": (Shortcut, "block", "nchw", nchw),
    "low-rank adapter": (LoRA, "adapted", "nchw", nchw),
    "dense block": (Dense, "norm", "nchw", nchw),
    "pooling": (Pooled, "last.1", "nchw", nchw),
    "called twice": (Twice, "block", "nchw", nchw),
    "channels behind": (ChannelsBehind, "last", "nhwc", nhwc),
    "tokens": (lambda: Transformer(0), "norm", Tokens(0, (3, 3)), tokens(0, 3, 3)),
    "class token": (lambda: Transformer(1), "blocks.1", Tokens(1, (3, 3)), tokens(1, 3, 3)),
    "class token and registers": (lambda: Transformer(4), "blocks.1", Tokens(4, (3, 3)), tokens(4, 3, 3)),
    "mixer": (Mixer, "norm", Tokens(0, (3, 3)), tokens(0, 3, 3)),
}


@pytest.mark.parametrize("name", NETS)
def test_the_last_map_that_every_path_passes_is_taken(name):
    build, layer, layout, read = NETS[name]
    model, x = seeded(build).eval(), images(3)
    method = GradCAM().resolve(prepare(model), x)
    assert method == GradCAM(layer, layout=layout)
    expected = by_hand(model, layer, x, 1, read)
    assert expected.flatten(1).std(1).min() > 0
    torch.testing.assert_close(GradCAM()(model, x, 1), expected, rtol=1e-10, atol=1e-15)
    torch.testing.assert_close(method(model, x, 1), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_maps_of_series_pictures_and_volumes(dims):
    shape = (2, 9, 7, 5)[: dims + 1]
    model, x = seeded(lambda: Net(dims)), images(3, shape)
    maps = GradCAM()(model, x, 2)
    assert maps.shape == (3, 1, *shape[1:])
    torch.testing.assert_close(maps, by_hand(model, "act", x, 2, nchw), rtol=1e-10, atol=1e-15)


def test_an_output_that_is_overwritten_later_is_read_as_it_was():
    model, x = seeded(Overwritten), images(3)
    assert GradCAM().path(prepare(model), x) == "last"

    class Tail(nn.Module):
        def forward(self, y):
            y = y * torch.tensor([-3, -6, -6, -3, -3, -3])[:, None, None]
            return model.fc(y.flatten(2).mean(2))

    features = model.last(model.act(model.stem(x))).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(Tail()(features)[:, 0].sum(), features)
    cam = (gradient.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True).relu()
    torch.testing.assert_close(GradCAM()(model, x, 0), cam.detach(), rtol=1e-10, atol=1e-15)


def test_a_last_layer_of_zeros_hides_no_structure():
    model = seeded(lambda: Transformer(1, zero_head=True))
    assert GradCAM().path(prepare(model), images()) == "blocks.1"


def test_guided_grad_cam_takes_the_layer_and_layout_of_grad_cam():
    model, x = seeded(ChannelsBehind), images(3)
    expected = GuidedBackprop()(model, x, 1) * by_hand(model, "last", x, 1, nhwc)
    torch.testing.assert_close(GuidedGradCAM()(model, x, 1), expected, rtol=1e-10, atol=1e-15)
    assert GuidedGradCAM().resolve(prepare(model), x) == GuidedGradCAM("last", "nhwc")


def test_the_layer_may_be_named_by_its_module():
    model, x = seeded(Shortcut), images(3)
    expected = GradCAM("block.body")(model, x, 1)
    assert torch.equal(GradCAM(model.block.body)(model, x, 1), expected)
    assert GradCAM(model.block.body).resolve(prepare(model), x).layer == "block.body"
    smooth = SmoothGrad(GradCAM(model.block.body), samples=2)
    assert smooth.resolve(prepare(model), x) == SmoothGrad(GradCAM("block.body", layout="nchw"), samples=2)
    with pytest.raises(ModelError, match=r"Conv2d given as layer is no layer of Shortcut.*such as 'stem'"):
        GradCAM(seeded(Shortcut).stem)(model, x, 1)


@pytest.mark.parametrize("prefix", [1, 4])
@pytest.mark.parametrize("layout", ["auto", "given"])
def test_the_usual_layer_of_vision_transformers_may_be_named(prefix, layout):
    # The norm before the last attention, the last tensor in which every token still reaches the class token.
    model, x = seeded(lambda: Transformer(prefix)).eval(), images(2)
    grid = Tokens(prefix, (3, 3))
    method = GradCAM("blocks.2.norm1", layout="auto" if layout == "auto" else grid)
    assert method.resolve(prepare(model), x).layout == grid
    torch.testing.assert_close(method(model, x, 2), by_hand(model, "blocks.2.norm1", x, 2, tokens(prefix, 3, 3)))


def test_a_layout_that_is_given_is_taken():
    model, x = seeded(lambda: Transformer(2)), images(3)
    for layout in ("auto", Tokens(2, (3, 3)), "tokens:2:3x3"):
        found = GradCAM("blocks.0", layout=layout)(model, x, 1)
        torch.testing.assert_close(found, by_hand(model, "blocks.0", x, 1, tokens(2, 3, 3)), rtol=1e-10, atol=1e-15)
    square = seeded(lambda: nn.Sequential(nn.Unflatten(1, (1, 2)), nn.Flatten(1, 2), Net())).eval()
    other = GradCAM("2.stem", layout="nhwc")(square, x, 1)
    torch.testing.assert_close(other, by_hand(square, "2.stem", x, 1, nhwc), rtol=1e-10, atol=1e-15)


class Hidden(torch.autograd.Function):
    """An operation that no mode sees, and that turns space around."""

    @staticmethod
    def forward(context, x):
        return x.transpose(1, 3)

    @staticmethod
    def backward(context, gradient):
        return gradient.transpose(1, 3)


class Unseen(Net):
    """A layout that the forward pass does not show."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = nn.GELU()

    def middle(self, x):
        return self.turned(Hidden.apply(x)).transpose(1, 3)


def test_a_layout_that_does_not_show_is_asked_for():
    model, x = seeded(Unseen), images(3)
    for method in (GradCAM(), GradCAM("turned"), GuidedGradCAM("turned")):
        with pytest.raises(ModelError, match=r"layout of layer 'turned' of Unseen.*give layout='nchw', 'nhwc'"):
            method(model, x, 1)

    def read(values):
        return values.transpose(1, 3).transpose(2, 3)

    # (batch, width, height, channel) is no layout with a name; read so, the map is turned.
    turned = GradCAM("turned", layout="nhwc")(model, x, 1)
    torch.testing.assert_close(turned, by_hand(model, "turned", x, 1, read), rtol=1e-10, atol=1e-15)
    assert GradCAM(layout="nhwc").path(prepare(model), x) == "turned"


class TimeLast(nn.Module):
    """Reads (batch, time, feature), which is not how Grad-CAM takes images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv1d(7, WIDTH, 3), nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        return self.fc(self.conv(x.transpose(1, 2)).mean(2))


@pytest.mark.parametrize(
    ("build", "layer", "shape", "message"),
    [
        (ConvolutionalHead, "head", (2, 11, 9), "'head' of ConvolutionalHead returns shape .* could only be constant"),
        (lambda: Transformer(1), "norm", (2, 11, 9), "'norm' of Transformer reaches the logits through its first 1"),
        (lambda: Transformer(1), "blocks.2", (2, 11, 9), "'blocks.2' of Transformer .* could only be constant"),
        (TimeLast, "conv", (9, 7), "layout of layer 'conv' of TimeLast"),
        (TimeLast, None, (9, 7), "layout of layer 'conv' of TimeLast"),
        (Net, "fc", (2, 11, 9), r"'fc' of Net returns shape \(1, 4\)"),
        (lambda: Transformer(0), "patch", (2, 5, 5), "'patch' of Transformer .* could only be constant"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(198, 3)), None, (2, 11, 9), "no layer of Sequential.*layer="),
    ],
)
def test_a_map_that_cannot_be_is_refused_by_name(build, layer, shape, message):
    model = seeded(build).eval()
    if shape == (2, 5, 5):
        model.places.data = model.places.data[:, :1]
    with pytest.raises(ModelError, match=message):
        GradCAM(layer)(model, images(3, shape), 1)


def test_a_layout_that_does_not_fit_is_refused():
    model, x = seeded(lambda: Transformer(1)), images(3)
    for layout in ("nchw", Tokens(0, (3, 3)), Tokens(1, (9,))):
        with pytest.raises(ModelError, match=r"'blocks.0' of Transformer returns shape"):
            GradCAM("blocks.0", layout=layout)(model, x, 1)
    with pytest.raises(InvalidInput, match="layout 'chwn' does not exist"):
        GradCAM(layout="chwn")(model, x, 1)
    with pytest.raises(UnknownName, match=r"did you mean 'blocks.0"):
        GradCAM("block.0")(model, x, 1)
    with pytest.raises(InvalidInput, match="prefix is at least 0"):
        Tokens(-1, (3, 3))


@pytest.mark.parametrize("layout", ["nchw", "nhwc", Tokens(0, (7,)), Tokens(5, (14, 16))])
def test_layouts_are_written_as_they_are_read(layout):
    assert as_layout(str(layout)) == layout


class Pair(Net):
    """A block that returns its map beside something else, as older transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Tuple()

    def middle(self, x):
        return self.block(x)[0]


class Tuple(Residual):
    def forward(self, x):
        return super().forward(x), None


def test_a_last_map_that_cannot_be_read_is_not_passed_over():
    with pytest.raises(ModelError, match=r"'block' of Pair, the last .* returns more than one tensor"):
        GradCAM()(seeded(Pair), images(), 1)
    assert GradCAM("act")(seeded(Pair), images(), 1).any()


def test_the_forward_pass_is_watched_once():
    model, x = seeded(ConvNet), images()
    counts = []
    model.register_forward_pre_hook(lambda module, inputs: counts.append(len(inputs[0])))
    first = prepare(model)
    GradCAM()(first, x, 1)
    before = len(counts)
    GradCAM()(first, x, 1)
    GradCAM("conv3")(model, x, 1)  # prepared anew
    GradCAM()(prepare_like(seeded(ConvNet, seed=3), first), x, 1)
    assert counts[before:] == [5, 5]


def test_the_layer_does_not_depend_on_folding_or_precision():
    model, x = seeded(ConvNet), images()
    options = [{}, {"channels_last": True}, {"precision": "bfloat16"}, {"fold_batch_norm": True, "example": x}]
    assert {GradCAM().path(prepare(model, **each), x) for each in options} == {"conv3"}


def test_watching_leaves_the_model_as_it_was():
    model = seeded(ConvNet).train()
    state = torch.get_rng_state()
    with torch.inference_mode():
        GradCAM().resolve(prepare(model), images())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
