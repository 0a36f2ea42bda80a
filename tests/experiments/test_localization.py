"""Localization on grids: networks that answer by color, whose evidence is known, and controls that must hold."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import ConvNet, images, seeded
from stopping import stop_at
from torch import nn

from probatum.attributions import (
    DeepLIFT,
    GradCAM,
    Gradient,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
)
from probatum.data import ImageSet
from probatum.engine import prepare
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.experiments import CheckConfig, localization_check, sanity_check
from probatum.experiments.build import setup_of, subject_of
from probatum.experiments.localization import run
from probatum.experiments.localization.grids import draw_grids
from probatum.experiments.objects import UnknownPreprocessing
from probatum.models import model_spec
from probatum.models.disconnected import DisconnectedGrid, join_cells, split_cells
from probatum.report.html.localization import localization_page
from probatum.report.localization import draw_localization
from probatum.terminal.commands import SHOWN, randomization_of, run_checks
from probatum.terminal.kinds import LOCALIZATION
from probatum.terminal.localization_lines import lines, show_localization

CLASSES, SIZE = 5, 8


class Colors(nn.Module):
    """The logit of class c is 20 times the mean of channel c, nearly, through two layers and a mean over places."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(CLASSES, CLASSES + 1, 3, padding=1, bias=False), nn.ReLU())
        self.head = nn.Linear(CLASSES + 1, CLASSES)
        with torch.no_grad():
            self.layers[0].weight.copy_(0.01 * torch.rand(6, 5, 3, 3, generator=torch.Generator().manual_seed(0)))
            self.layers[0].weight[range(CLASSES), range(CLASSES), 1, 1] += 1.0
            self.head.weight.copy_(20 * torch.eye(CLASSES, CLASSES + 1))
            self.head.bias.zero_()

    def forward(self, x):
        return self.head(self.layers(x).mean((2, 3)))


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(CLASSES, 3, 3), nn.Linear(3 * 6 * 6, CLASSES)

    def forward(self, x):
        return self.head(self.conv(x).relu().flatten(1))


def colored(classes, seed=0):
    """Images of noise whose channel of the class is bright."""
    generator = torch.Generator().manual_seed(seed)
    x = 0.1 * torch.rand(len(classes), CLASSES, SIZE, SIZE, generator=generator)
    for row, each in enumerate(classes):
        x[row, each] += 0.5 + 0.5 * torch.rand(SIZE, SIZE, generator=generator)
    return x


TEN = colored([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
METHODS = {
    "product": InputXGradient(),
    "guided": GuidedBackprop(),
    "ig": IntegratedGradients(steps=4),
    "noisy": SmoothGrad(InputXGradient(), samples=2),
    "cam": GradCAM(),
    "gradient": Gradient(),
}


@pytest.fixture(scope="module")
def result():
    return localization_check(Colors(), TEN, methods=METHODS, rounds=3)


def test_cells_are_joined_and_split():
    cells = torch.arange(2 * 4 * 1 * 2 * 3.0).reshape(2, 4, 1, 2, 3)
    grids = join_cells(cells)
    torch.testing.assert_close(grids[1, 0, :2, 3:], cells[1, 1, 0])
    torch.testing.assert_close(grids[1, 0, 2:, :3], cells[1, 2, 0])
    torch.testing.assert_close(split_cells(grids), cells)


def test_grids_hold_distinct_classes_and_each_image_at_most_once():
    counts = {0: 6, 1: 4, 2: 3, 3: 3, 4: 2}
    classes = [each for each, count in counts.items() for _ in range(count)]
    # k grids can be filled if and only if the classes give enough images, none more than one to each grid.
    most = max(k for k in range(9) if sum(min(count, k) for count in counts.values()) >= 4 * k)
    rounds = draw_grids(classes, 3, seed=1)
    for grids in rounds:
        placed = [image for grid in grids for image in grid]
        assert len(set(placed)) == len(placed) == 4 * most
        assert all(len({classes[image] for image in grid}) == 4 for grid in grids)
    assert rounds[0] != rounds[1]
    assert draw_grids(classes, 3, seed=1) == rounds


def test_the_share_is_that_of_the_paper(result):
    product = InputXGradient()
    grid = result.grids[1][0]
    whole = join_cells(TEN[list(grid)][None])
    for cell, image in enumerate(grid):
        positive = product(Colors(), whole, [result.targets[image]])[0].sum(0).clamp(min=0)
        corner = positive[cell // 2 * SIZE :][:SIZE, cell % 2 * SIZE :][:, :SIZE]
        expected = float(corner.sum() / positive.sum())
        assert result.shares[0, 0, image, 1] == pytest.approx(expected, rel=1e-5)
        assert expected > 0.7


def test_words_controls_and_chance(result):
    words = {(m, s): each.word for (m, s), each in result.verdicts.items()}
    assert words["product", "GridPG"] == "localizes"
    assert words["gradient", "GridPG"] == "does not"  # of a linear network, the same in every cell
    # Equal in all cells but for the border of the grid, where the kernel of 3 x 3 is cut.
    assert result.verdict("gradient", "GridPG").share == pytest.approx(0.25, abs=1e-3)
    assert words["edge-detector", "GridPG"] == words["edge-detector", "DiFull"] == "does not"
    for name in ("product", "guided", "ig", "noisy", "gradient"):
        found = result.verdict(name, "DiFull")
        assert (found.word, found.share, found.outside) == ("localizes", 1.0, 0.0)
    # Grad-CAM averages its weights over the grid, so it finds the class's channel in every cell.
    assert 0 < result.verdict("cam", "DiFull").outside < 0.5
    assert result.broken == ()
    assert result.edges == "edge-detector"
    for turn, grids in enumerate(result.grids):
        for grid in grids:
            row = result.methods.index(result.edges)
            np.testing.assert_allclose(result.shares[:, row, list(grid), turn].mean(axis=1), 0.25, atol=1e-7)


def test_a_result_prints_becomes_a_frame_and_draws_itself(result):
    lines = repr(result).splitlines()
    assert "chance 0.25: 6 grids of 10 images" in lines[0]
    assert len(lines) == 2 + len(result.methods)
    frame = result.to_pandas()
    assert len(frame) == 24 * 2 * len(result.methods)
    one = frame[(frame.method == "ig") & (frame.setting == "GridPG")].share.mean()
    assert one == pytest.approx(result.verdict("ig", "GridPG").share)
    assert result.maps.shape == (2, len(result.methods), 4, 2 * SIZE, 2 * SIZE)
    assert len(result.plot().axes) == 1
    with pytest.raises(UnknownName, match="GridPG"):
        result.verdict("ig", "gridpg")


def test_the_disconnected_network_sees_one_cell_per_class():
    net = seeded(ConvNet).eval()
    network = DisconnectedGrid(net, "conv3")
    x = images(4, (2, 12, 12))
    classes = torch.tensor([[2, 0, 3, 1]])
    with torch.no_grad():
        alone = net(x)
        together = network(join_cells(x[None]), classes)[0]
    torch.testing.assert_close(together[classes[0]], alone[range(4), classes[0]])
    deep = DeepLIFT()(prepare(network).with_extra((classes,)), join_cells(x[None]), [3])
    assert float(split_cells(deep)[0, [0, 1, 3]].abs().max()) == 0
    assert float(split_cells(deep)[0, 2].abs().max()) > 0


def test_images_that_cannot_be_used_are_named():
    labels = [0, 1, 2, 3, 4, 1, 1, 2, 3, 0]
    x = TEN.clone()
    x[5] = 0.3  # no class
    found = localization_check(Colors(), x, methods=["gradient"], labels=labels, rounds=1)
    assert dict(found.left_out).keys() == {"image-005", "image-009"}
    assert "confidence" in dict(found.left_out)["image-005"]
    assert "labeled 0, classified as 4" in dict(found.left_out)["image-009"]
    assert "2 images were left out" in repr(found)
    few = localization_check(Colors(), TEN[:4], methods=["input-x-gradient"], rounds=2)
    assert few.verdict("input-x-gradient", "GridPG").word == "undecided"
    dead = Colors()
    nn.init.zeros_(dead.layers[0].weight)
    with torch.no_grad():
        dead.head.bias.copy_(torch.arange(5.0))
    for wrong in (TEN[:1], colored([1] * 6)):
        with pytest.raises(InvalidInput, match="different classes"):
            localization_check(Colors(), wrong, methods=["gradient"])
    with pytest.raises(InvalidInput, match="1 predicted classes"):
        localization_check(dead, TEN, methods=["gradient"], least_confidence=0.0)


def test_networks_without_global_pooling_are_refused():
    with pytest.raises(ModelError, match="global average pooling"):
        localization_check(Flat(), TEN, methods=["gradient"], least_confidence=0.0)

    class Fixed(Colors):
        def forward(self, x):
            assert x.shape[2] == SIZE, "wrong size"
            return super().forward(x)

    with pytest.raises(ModelError, match="16×16"):
        localization_check(Fixed(), TEN, methods=["gradient"])
    with pytest.raises(InvalidInput, match="last feature map"):
        localization_check(Colors(), TEN, methods={"cam": GradCAM(layer="layers.0")})
    with pytest.raises(InvalidInput, match="name of a control"):
        localization_check(Colors(), TEN, methods={"edge-detector": Gradient()})


@pytest.fixture
def small(monkeypatch):
    """A request whose network and images are those of this file."""
    config = CheckConfig(
        model="resnet18", weights="none", data="digits", methods=("gradient", "grad-cam"), trials=2, precision="float64"
    )
    names = tuple(f"{row}<b>.png" for row in range(len(TEN)))
    data = ImageSet("digits", TEN, torch.arange(10) % 5, None, names, UnknownPreprocessing.of(TEN), TEN[:, :3])
    spec = replace(model_spec("resnet18"), stages=None)
    subject = subject_of(spec, Colors(), data, class_names=lambda count: tuple("abcde"), memory_budget=None)
    setup = setup_of(config, subject, {"gradient": Gradient(), "grad-cam": GradCAM()}, {})
    monkeypatch.setattr(run, "set_up_together", lambda config, work: setup)
    return config


def test_a_run_resumes_is_read_back_and_has_a_page(small, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run.run_localization(small, tmp_path / "run")
    said = []
    found = run.run_localization(small, tmp_path / "run", say=said.append, draw=draw_localization)
    assert any("2 of 8 explained grids" in sentence for sentence in said)
    whole = run.run_localization(small, tmp_path / "whole")
    read = run.read_localization(tmp_path / "run")
    for other in (whole, read):
        np.testing.assert_array_equal(found.shares, other.shares)
        np.testing.assert_array_equal(found.outside, other.outside)
        assert (found.grids, found.methods, found.targets, found.edges) == (
            other.grids, other.methods, other.targets, other.edges,
        )  # fmt: skip
    assert read.broken == ()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Do the maps point at the image" in page
    assert "&lt;b&gt;" in page
    assert "data:image" in page
    assert {path.name for path in (tmp_path / "run" / "figures").iterdir()} == {"shares.png", "maps.png"}
    capsys.readouterr()
    show_localization(read, json.loads((tmp_path / "run" / "config.json").read_text()), tmp_path / "run")
    assert "Of 2 methods" in capsys.readouterr().out
    document = json.loads(json.dumps(LOCALIZATION.document(tmp_path / "run")))
    assert document["verdicts"]["gradient"]["DiFull"]["word"] == "localizes"
    LOCALIZATION.verify(tmp_path / "run")
    for width in (60, 80, 120):
        shown = lines(read, width)
        assert max(map(len, shown)) <= width
        assert "Edge Detector (control)" in shown[-1]
    assert "[" not in "".join(lines(read, 60))


def test_what_localization_cannot_be_combined_with_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="localization_check"):
        sanity_check(Colors(), TEN, methods=["gradient"], preset="localization")
    assert randomization_of(("localization",)) == "adebayo"
    assert randomization_of(("emprt", "shin")) == "emprt"
    with pytest.raises(InvalidInput, match="alone"):
        randomization_of(("adebayo", "localization"))
    for option in ({"metrics": ("ssim",)}, {"order": "full"}, {"fold_batch_norm": True}):
        with pytest.raises(InvalidInput, match=next(iter(option)).replace("_", "-")):
            run.LocalizationRequest(CheckConfig(**option))
    with pytest.raises(ModelError, match="global average pooling"):  # before the network is trained
        run.run_localization(CheckConfig(), tmp_path / "run")
    with pytest.raises(InvalidInput, match="least_confidence is 2"):
        run.LocalizationRequest(CheckConfig(), 2.0)
    with pytest.raises(InvalidInput, match="--least-confidence"):
        run_checks(CheckConfig(), ("adebayo",), 0.3, None, "check", SHOWN)


def test_the_least_confidence_of_a_run_is_its_request(small, tmp_path, monkeypatch):
    used = []
    work = run.localization_work
    monkeypatch.setattr(
        run, "localization_work", lambda *a, **named: used.append(named["least_confidence"]) or work(*a, **named)
    )
    run.run_localization(small, tmp_path / "run", least_confidence=0.25)
    assert used == [0.25]
    assert LOCALIZATION.request(tmp_path / "run").least_confidence == 0.25
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "--least-confidence 0.25" in localization_page(tmp_path / "run", config)
