"""The rule that holds constants in models of timm and Hugging Face as they are: the logits are conserved."""

from functools import partial

import pytest
import torch
from engine.test_constants_held import conservation, drawn
from torch import nn

from probatum.attributions import ConservativePropagation

pytestmark = pytest.mark.extra

IMAGES = torch.linspace(-2, 2, 2 * 3 * 32 * 32, dtype=torch.float64).mul(9).sin().reshape(2, 3, 32, 32)
TOKENS = torch.linspace(-2, 2, 2 * 6 * 8, dtype=torch.float64).mul(7).sin().reshape(2, 6, 8)
SMALL = {"img_size": 32, "num_classes": 3}
VIT = SMALL | {"patch_size": 16, "embed_dim": 16, "depth": 2, "num_heads": 2}
TIMM = {
    "vit_tiny_patch16_224": VIT,
    "deit_tiny_distilled_patch16_224": VIT,
    "beit_base_patch16_224": VIT,
    "eva02_tiny_patch14_224": VIT,
    "swin_tiny_patch4_window7_224": SMALL | {"window_size": 4, "embed_dim": 8, "depths": (2, 1), "num_heads": (2, 2)},
    "convnext_atto": {"num_classes": 3, "depths": (1,) * 4, "dims": (8,) * 4},
    "convnextv2_atto": {"num_classes": 3, "depths": (1,) * 4, "dims": (8,) * 4},
    "maxvit_nano_rw_256": SMALL | {"embed_dim": (32,), "depths": (1,), "block_type": ("M",), "stem_width": 8},
}


@pytest.mark.parametrize("name", TIMM)
def test_models_of_timm(name):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    signal, lacking = conservation(drawn(partial(timm.create_model, name, **TIMM[name])), IMAGES)
    assert lacking < 1e-10
    assert signal.abs().max() > 0


BERT = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 9}
TEXT = {
    "bert": BERT,
    "roberta": BERT | {"pad_token_id": 1},
    "distilbert": {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 16, "vocab_size": 9},
    "gpt2": {"n_embd": 8, "n_layer": 2, "n_head": 2, "vocab_size": 9, "pad_token_id": 0},
    "llama": BERT | {"num_key_value_heads": 1, "pad_token_id": 0},
}


class OfEmbeddings(nn.Module):
    """A sequence classifier as a function of embeddings and a mask."""

    def __init__(self, name, attention):
        super().__init__()
        transformers = pytest.importorskip("transformers", reason="transformers is not installed")
        config = transformers.AutoConfig.for_model(name, num_labels=3, **TEXT[name])
        auto = transformers.AutoModelForSequenceClassification
        self.model = auto.from_config(config, attn_implementation=attention)

    def forward(self, embeddings, mask):
        return self.model(inputs_embeds=embeddings, attention_mask=mask).logits


@pytest.mark.filterwarnings("ignore")  # of the models themselves
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", TEXT)
def test_text_classifiers_of_hugging_face(name, attention):
    model = drawn(partial(OfEmbeddings, name, attention))
    signal, lacking = conservation(model, TOKENS, (torch.ones(2, 6, dtype=torch.long),))
    assert lacking < (1e-7 if name == "llama" else 1e-10)  # Llama computes its norms in float32
    assert signal.abs().max() > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_vit_of_hugging_face(attention):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {name: value for name, value in BERT.items() if name != "vocab_size"}
    config = transformers.ViTConfig(image_size=32, patch_size=16, num_labels=3, **sizes)
    auto = transformers.AutoModelForImageClassification
    model = drawn(partial(auto.from_config, config, attn_implementation=attention))
    assert conservation(model, IMAGES)[1] < 1e-10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_padding_has_no_influence(name, attention):
    model = drawn(partial(OfEmbeddings, name, attention))
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    padded = ConservativePropagation()(model, TOKENS, 1, extra=(mask,))
    alone = ConservativePropagation()(model, TOKENS[1:, :4], 1, extra=(mask[1:, :4],))
    torch.testing.assert_close(padded[1:, :4], alone, rtol=1e-12, atol=1e-12)
    assert (padded[1, 4:] == 0).all()
