"""The rule that holds constants in models of timm and Hugging Face as they are: the logits are conserved."""

from functools import partial

import pytest
import torch
from engine.test_constants_held import conservation, drawn
from torch import nn

from probatum.attributions import AttentionRollout, ConservativePropagation, Gradient, attribute
from probatum.errors import InvalidInput, ModelError

pytestmark = pytest.mark.extra

IMAGES = torch.linspace(-2, 2, 2 * 3 * 32 * 32, dtype=torch.float64).mul(9).sin().reshape(2, 3, 32, 32)
TOKENS = torch.linspace(-2, 2, 2 * 6 * 8, dtype=torch.float64).mul(7).sin().reshape(2, 6, 8)
SMALL = {"img_size": 32, "num_classes": 3}
VIT = SMALL | {"patch_size": 16, "embed_dim": 16, "depth": 2, "num_heads": 2}
MIXED = {"img_size": 64, "num_classes": 3, "embed_dim": (32,) * 4, "depths": (1,) * 4, "stem_width": 8}
TIMM = {
    "vit_tiny_patch16_224": VIT,
    "deit_tiny_distilled_patch16_224": VIT,
    "beit_base_patch16_224": VIT,
    "eva02_tiny_patch14_224": VIT,
    "swin_tiny_patch4_window7_224": SMALL | {"window_size": 4, "embed_dim": 8, "depths": (2, 1), "num_heads": (2, 2)},
    "convnext_atto": {"num_classes": 3, "depths": (1,) * 4, "dims": (8,) * 4},
    "convnextv2_atto": {"num_classes": 3, "depths": (1,) * 4, "dims": (8,) * 4},
    "maxvit_nano_rw_256": SMALL | {"embed_dim": (32,), "depths": (1,), "block_type": ("M",), "stem_width": 8},
    "maxvit_tiny_tf_224": MIXED,
    "maxxvitv2_nano_rw_256": MIXED,
    "coatnet_nano_rw_224": MIXED,
    "coatnet_0_224": MIXED,
    "coatnext_nano_rw_224": MIXED,
}


@pytest.mark.parametrize("name", TIMM)
def test_models_of_timm(name):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    model = drawn(partial(timm.create_model, name, **TIMM[name]))
    images = nn.functional.interpolate(IMAGES, scale_factor=TIMM[name].get("img_size", 32) // 32)
    signal, lacking = conservation(model, images)
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

    def __init__(self, name, attention, **options):
        super().__init__()
        transformers = pytest.importorskip("transformers", reason="transformers is not installed")
        config = transformers.AutoConfig.for_model(name, num_labels=3, **TEXT[name] | options)
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
@pytest.mark.parametrize(("name", "positions"), [("bert", 5), ("roberta", 7), ("distilbert", 5), ("gpt2", 5)])
def test_more_tokens_than_positions_are_refused(name, positions):
    model = drawn(partial(OfEmbeddings, name, "eager", max_position_embeddings=positions))
    mask = torch.ones(2, 6, dtype=torch.long)
    with pytest.raises(InvalidInput, match=r"6 tokens.* for 5"):
        Gradient()(model, TOKENS, 1, extra=(mask,))
    assert Gradient()(model, TOKENS[:, :5], 1, extra=(mask[:, :5],)).abs().max() > 0


@pytest.mark.filterwarnings("ignore")
def test_hidden_states_and_token_ids_name_the_way_out():
    model = drawn(partial(OfEmbeddings, "bert", "eager")).model.bert
    with pytest.raises(ModelError, match="output="):
        Gradient()(OfKeyword(model), TOKENS, 1)
    with pytest.raises(ModelError, match="head of classes"):
        Gradient()(OfKeyword(model), TOKENS, 1, output="last_hidden_state")
    with pytest.raises(InvalidInput, match="inputs_embeds"):
        Gradient()(OfKeyword(model), torch.ones(2, 6, dtype=torch.long), 1)
    assert Gradient()(OfKeyword(model), TOKENS, 1, output="pooler_output").abs().max() > 0


class OfKeyword(nn.Module):
    """A model as a function of embeddings."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, embeddings):
        return self.model(inputs_embeds=embeddings)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_vit_of_hugging_face(attention):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {name: value for name, value in BERT.items() if name != "vocab_size"}
    config = transformers.ViTConfig(image_size=32, patch_size=16, num_labels=3, **sizes)
    auto = transformers.AutoModelForImageClassification
    model = drawn(partial(auto.from_config, config, attn_implementation=attention))
    assert conservation(model, IMAGES)[1] < 1e-10


class OfLastToken(nn.Module):
    """A head on the last token of a sentence that may have padding on either side."""

    def __init__(self, name, attention):
        super().__init__()
        self.model = OfEmbeddings(name, attention).model.base_model
        self.head = nn.Linear(8, 3)

    def forward(self, embeddings, mask):
        places = (mask.cumsum(1) - 1).clamp(min=0)
        answer = self.model(inputs_embeds=embeddings, attention_mask=mask, position_ids=places)
        return self.head(answer.last_hidden_state[range(len(mask)), (places * mask).argmax(1)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "attention"),
    [
        *(("bert", "eager"), ("bert", "sdpa"), ("gpt2", "eager"), ("gpt2", "sdpa")),
        ("llama", "sdpa"),  # eager is itself NaN on padding in float64, whose lowest number is −∞ to its softmax
    ],
)
def test_padding_has_no_influence(name, attention):
    model = drawn(partial(OfLastToken, name, attention))
    methods = [ConservativePropagation(), Gradient(), AttentionRollout()]
    whole = torch.ones(1, 4, dtype=torch.long)
    alone = attribute(model, TOKENS[1:, :4], 1, methods, extra=(whole,))
    for before, after in ((0, 2), (2, 0), (1, 1)):
        tokens = nn.functional.pad(TOKENS[1:, :4], (0, 0, before, after), value=3.0)
        mask = nn.functional.pad(whole, (before, after))
        rows = torch.cat([TOKENS[:1], tokens]), torch.cat([torch.ones_like(mask), mask])
        padded = attribute(model, rows[0], 1, methods, extra=(rows[1],))
        for title, expected in alone.items():
            found = padded[title][1]
            torch.testing.assert_close(found[before : before + 4], expected[0], rtol=1e-9, atol=1e-12)
            assert (found[mask[0] == 0] == 0).all()
