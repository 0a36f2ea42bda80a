"""Blocks of deep networks as stages: every parameter of the layers is in exactly one block, output first."""

import pytest
import torch
import torchvision
from torch import nn

from probatum.randomization import Randomizer, Reset, StagePlan, automatic_stages, block_stages, usual_stages
from probatum.randomization.stages import Stage, assign


def plan_of(*paths: str) -> StagePlan:
    return StagePlan(tuple(Stage(path, (path,)) for path in paths), ("aux",))


def test_a_block_holds_its_layers_and_stands_where_the_cascade_meets_the_first():
    layers = plan_of("head", *(f"blocks.{block}.{layer}" for block in range(6, -1, -1) for layer in "cba"), "stem")
    blocks = block_stages(layers)
    assert [stage.name for stage in blocks.stages] == ["head", *(f"blocks.{k}" for k in range(6, -1, -1)), "stem"]
    assert blocks.stages[1].modules == ("blocks.6.c", "blocks.6.b", "blocks.6.a")
    assert blocks.unused == ("aux",)


def test_few_layers_stay_layers():
    layers = plan_of(*(f"features.{k}" for k in range(20, 0, -1)))
    assert usual_stages(layers) is layers
    assert usual_stages(plan_of(*(f"a.{k}.{j}" for k in range(9) for j in range(3)))).stages[0].name == "a.0"


def test_a_flat_or_narrow_tree_keeps_its_layers():
    flat = plan_of(*(f"layer{k}" for k in range(30)))
    assert block_stages(flat) is flat
    narrow = plan_of(*(f"left.{k}" for k in range(3)), "right")
    assert block_stages(narrow) is narrow


@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        ("resnet50", "fc", "conv1", 18),  # 16 residual blocks between them
        ("mobilenet_v2", "classifier.1", "features.0", 20),
        ("efficientnet_b0", "classifier.1", "features.0", 10),
        ("densenet121", "classifier", "features.conv0", 9),
        ("vit_b_16", "heads.head", "conv_proj", 14),  # 12 encoder layers
        ("swin_t", "head", "features.0", 9),
    ],
)
def test_blocks_of_torchvision_networks(name, first, last, count):
    model = getattr(torchvision.models, name)(weights=None).eval()
    images = torch.rand(1, 3, 224, 224) if name == "vit_b_16" else torch.rand(1, 3, 64, 64)
    layers = automatic_stages(model, images)
    blocks = usual_stages(layers)
    names = [stage.name for stage in blocks.stages]
    assert (names[0], names[-1], len(names)) == (first, last, count)
    covered = [module for stage in blocks.stages for module in stage.modules]
    assert sorted(covered) == sorted(module for stage in layers.stages for module in stage.modules)
    assign(model, blocks)  # raises where a parameter is missing or in two stages


def test_blocks_and_layers_end_with_the_same_weights():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)) for _ in range(12))).eval()
    layers = automatic_stages(model, torch.rand(2, 4))
    blocks = usual_stages(layers)
    assert (len(layers.stages), len(blocks.stages)) == (24, 12)
    ends = [Randomizer(model, plan, Reset(), seed=3).model(len(plan.stages)) for plan in (layers, blocks)]
    for by_layer, by_block in zip(*(end.parameters() for end in ends), strict=True):
        torch.testing.assert_close(by_layer, by_block, rtol=0, atol=0)
