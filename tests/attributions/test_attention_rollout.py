"""Attention rollout: closed forms, families of models as they are, and models without attention among all tokens."""

from functools import partial

import pytest
import torch
import torchvision
from engine.test_constants_held_families import IMAGES, TEXT, TIMM, TOKENS, VIT, OfEmbeddings
from nets import TokenNet, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import AttentionRollout, Tokens
from probatum.errors import InvalidInput, ModelError


class Mixing(nn.Module):
    """Attention with given weights, by their logarithms, on a row of four pixels; `read` picks from its result."""

    def __init__(self, layers, read=lambda x: x.mean(1)):
        super().__init__()
        self.scores = [torch.tensor(layer, dtype=torch.float64).log() for layer in layers]
        self.patches, self.read = nn.Conv2d(1, 3, 1).double(), read

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        for scores in self.scores:
            x = x + F.scaled_dot_product_attention(0 * x, x, x, scores.expand(len(x), 1, 4, 4)[:, 0])
        return self.read(x)


A = [[0.7, 0.1, 0.1, 0.1], [0.2, 0.4, 0.2, 0.2], [0.25] * 4, [0.1, 0.2, 0.3, 0.4]]
B = [[0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.2, 0.2], [0.6, 0.2, 0.1, 0.1], [0.25] * 4]
ROW = torch.linspace(1, 2, 4).double().reshape(1, 1, 1, 4)


def test_later_layers_stand_to_the_left_and_the_rows_read_are_averaged():
    a, b, identity = (torch.tensor(each, dtype=torch.float64) for each in (A, B, torch.eye(4).tolist()))
    expected = (b / 2 + identity / 2) @ (a / 2 + identity / 2)
    method = AttentionRollout(Tokens(0, (1, 4)))
    for read, row in ((lambda x: x.mean(1), expected.mean(0)), (lambda x: x[:, 2], expected[2])):
        found = method(Mixing([A, B], read), ROW, 0)
        torch.testing.assert_close(found.flatten(), row, rtol=1e-12, atol=0)


def test_it_depends_on_no_target_and_on_every_layer_of_attention():
    model, x = seeded(TokenNet), images(2)
    maps = AttentionRollout()(model, x, 0)
    torch.testing.assert_close(AttentionRollout()(model, x, 3), maps, rtol=0, atol=0)
    with torch.no_grad():
        model.projections[0].weight *= 2
    assert not torch.allclose(AttentionRollout()(model, x, 0), maps, rtol=1e-3)


def test_a_head_of_zeros_reads_the_class_token_all_the_same():
    model, x = seeded(TokenNet), images(2)
    expected = AttentionRollout()(model, x, 0)
    with torch.no_grad():
        model.head.weight.zero_()
    torch.testing.assert_close(AttentionRollout()(model, x, 0), expected, rtol=0, atol=0)


def test_a_mask_closes_tokens():
    class Masked(nn.Module):
        def __init__(self, mask=None, **options):
            super().__init__()
            self.options, self.head = {"attn_mask": mask, **options}, nn.Linear(8, 3).double()

        def forward(self, x):
            return self.head(F.scaled_dot_product_attention(x, x, x, **self.options)[:, -1])

    open_ = torch.ones(6, 6, dtype=torch.bool)
    open_[:, 2] = False
    by_flag = AttentionRollout()(Masked(open_), TOKENS, 0)
    by_number = AttentionRollout()(Masked(torch.zeros(6, 6).double().masked_fill(~open_, -torch.inf)), TOKENS, 0)
    assert (by_flag[:, 2] == 0).all()
    torch.testing.assert_close(by_flag, by_number, rtol=0, atol=0)
    torch.testing.assert_close(by_flag.sum((1, 2)), torch.ones(2).double())
    causal = AttentionRollout()(Masked(is_causal=True), TOKENS, 0)  # the last token may look at all
    torch.testing.assert_close(causal, AttentionRollout()(Masked(), TOKENS, 0), rtol=1e-12, atol=0)


def vit(side=32):
    return torchvision.models.VisionTransformer(side, 8, 2, 2, 8, 16, num_classes=3)


def rollout_by_hooks(model, x):
    """Of torchvision's ViT: its blocks are asked for their weights."""
    weights = []

    def ask(module, args, kwargs):
        return args, kwargs | {"need_weights": True, "average_attn_weights": True}

    for block in model.encoder.layers:
        block.self_attention.register_forward_pre_hook(ask, with_kwargs=True)
        block.self_attention.register_forward_hook(lambda module, inputs, output: weights.append(output[1].detach()))
    model(x)
    rollout = torch.eye(weights[0].shape[-1]).double()
    for layer in weights:
        rollout = (layer + torch.eye(layer.shape[-1]).double()) / 2 @ rollout
    return rollout[:, 0, 1:]


def test_torchvisions_vit_equals_the_weights_that_its_blocks_return():
    model = seeded(vit).eval()
    maps = AttentionRollout()(model, IMAGES, 0)
    places = rollout_by_hooks(model, IMAGES).reshape(2, 1, 4, 4)
    expected = F.interpolate(places, size=(32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(maps, expected, rtol=1e-12, atol=0)


def test_torchs_own_encoder_is_read_past_its_fast_path():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.encoder(x)[:, 0])

    maps = AttentionRollout()(seeded(Encoder), TOKENS, 0)
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2).double())
    assert maps.std(1).min() > 0.01


REFUSED = {
    "no attention": partial(torchvision.models.squeezenet1_1, num_classes=3),
    "windows": partial(torchvision.models.SwinTransformer, [2, 2], 8, [2, 1], [4, 4], [2, 2], num_classes=3),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_models_without_attention_among_all_tokens_are_refused(reason):
    with pytest.raises(ModelError, match=reason):
        AttentionRollout()(seeded(REFUSED[reason]), IMAGES, 0)


def test_layouts_of_the_users_own():
    model = seeded(TokenNet)
    expected = AttentionRollout()(model, images(), 0)
    torch.testing.assert_close(AttentionRollout("tokens:1:2x3")(model, images(), 0), expected, rtol=0, atol=0)
    with pytest.raises(ModelError, match="7 tokens"):
        AttentionRollout(Tokens(0, (2, 3)))(model, images(), 0)
    with pytest.raises(InvalidInput, match="nchw"):
        AttentionRollout("nchw")


@pytest.mark.extra
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, None) for name in list(TIMM)[:4]),
        ("swin_tiny_patch4_window7_224", "windows"),
        ("convnextv2_atto", "no attention"),
        ("cait_xxs24_224", "queries"),
    ],
)
def test_models_of_timm(name, reason):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    model = seeded(partial(timm.create_model, name, **TIMM.get(name, VIT)))
    if reason is None:
        maps = AttentionRollout()(model, IMAGES, 0)
        assert maps.shape == (2, 1, 32, 32)
        assert maps.flatten(1).std(1).min() > 0
    else:
        with pytest.raises(ModelError, match=reason):
            AttentionRollout()(model, IMAGES, 0)


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")  # of the models themselves
@pytest.mark.parametrize("name", TEXT)
def test_text_classifiers_of_hugging_face_read_the_token_that_their_logits_read(name):
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    maps = [
        AttentionRollout()(seeded(partial(OfEmbeddings, name, attention)), TOKENS, 0, extra=(mask,))
        for attention in ("eager", "sdpa")
    ]
    torch.testing.assert_close(*maps, rtol=1e-6, atol=1e-9)  # Llama computes its softmax in float32
    torch.testing.assert_close(maps[0].sum((1, 2)), torch.ones(2).double(), rtol=1e-6, atol=0)
    if name in ("bert", "roberta", "distilbert"):
        assert maps[0].sum(2).argmax(1).tolist() == [0, 0]  # the class token keeps half of itself in each layer
        assert (maps[0][1, 4:] == 0).all()
