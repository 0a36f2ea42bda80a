from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.errors import InvalidInput
from probatum.models import load_model, save_checkpoint
from probatum.reproductions import ReproductionConfig, redraw_reproduction, run_reproduction
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.setting import Setting
from probatum.reproductions.yona2021 import PAPER, halves, pairs, shapes, studies

TINY = studies.YonaSizes(
    train=48,
    test=24,
    epochs=1,
    half_epochs=2,
    pairs=12,
    test_pairs=8,
    per_class=2,
    pair_epochs=1,
    explained=6,
    untrained=4,
    examples=2,
    trainings=2,
)
CONFIG = ReproductionConfig(paper="yona2021", device="cpu")


@pytest.fixture
def tiny(whole_run, monkeypatch, tmp_path):
    monkeypatch.setitem(studies.SIZES, "quick", TINY)
    return tmp_path


def run(tmp_path: Path, *figures: str, **changes) -> tuple[Path, dict]:
    folder = tmp_path / "-".join(figures)
    folder.mkdir()
    findings = run_reproduction(replace(CONFIG, figures=figures, **changes), folder)
    return folder, {finding.claim.name: finding for finding in findings}


def photographs(tmp_path: Path, classes: int = 10) -> Path:
    """Tiny-ImageNet's layout with two training images and one validation image of each class."""
    root = tmp_path / "data" / "tiny-imagenet-200"
    wnids = [*pairs.DECIDING, *pairs.OTHER][:classes]
    (root / "val" / "images").mkdir(parents=True)
    noise = np.random.default_rng(0)
    lines = []
    for wnid in wnids:
        folder = root / "train" / wnid / "images"
        folder.mkdir(parents=True)
        for path in (folder / "a.JPEG", folder / "b.JPEG", root / "val" / "images" / f"{wnid}.JPEG"):
            Image.fromarray(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
        lines.append(f"{wnid}.JPEG\t{wnid}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(wnids))
    (root / "words.txt").write_text("".join(f"{wnid}\t{pairs.DECIDING.get(wnid, 'other')}\n" for wnid in wnids))
    return root.parent


def test_the_papers_own_sizes_and_classes():
    sizes = studies.SIZES["paper"]
    assert (sizes.train, sizes.test, sizes.per_class) == (60_000, 10_000, 250)
    assert list(pairs.DECIDING.values()) == ["acorn", "espresso", "banana", "ice cream", "gondola"]
    assert len(pairs.OTHER) == 5
    assert [experiment.name for experiment in PAPER.experiments] == [f"figure{number}" for number in range(1, 8)]


def test_from_training_to_scorecard_and_again(tiny):
    folder, findings = run(tiny, "figure1", "figure5")
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert {f"figure1{part}.png" for part in ("", "-gradient", "-both", "-effect", "-regions")} <= figures
    assert "figure5.png" in figures
    assert len(findings) == 8
    assert all("rendered digits instead of MNIST" in finding.why for finding in findings.values())
    assert findings["digit accuracy"].verdict == "not comparable"  # 48 digits teach little
    assert "48 instead of 60,000 training digits" in findings["digit accuracy"].why
    before = {name: (folder / "figures" / name).read_bytes() for name in figures}
    card = (folder / "scorecard.md").read_bytes()
    redraw_reproduction(folder)
    assert {name: (folder / "figures" / name).read_bytes() for name in figures} == before
    assert (folder / "scorecard.md").read_bytes() == card


def test_the_shapes_study_explains_images_with_a_shape(tiny):
    study = shapes.shapes_study(Context(CONFIG), False)
    assert study.regions["shape"].flatten(1).any(1).all()
    assert study.regions["digit"].flatten(1).any(1).all()
    more = shapes.shapes_study(Context(CONFIG), True)
    assert torch.equal(more.images, study.images[1:3])  # Figure 2 shows the first, Figures 4 and 5 the next ones
    assert len(more.shown_names) == 2


def test_the_half_study_follows_bayes_rule(tiny):
    study = halves.half_study(Context(CONFIG), False)
    torch.testing.assert_close(study.weights[0], torch.tensor([2 / 3, 1 / 3]))
    torch.testing.assert_close(study.weights[1], torch.tensor([0.0, 1.0]))
    assert study.counted.tolist() == [True, False, True, True, True, True]
    assert not study.pictures[1, :, 14:].any()
    assert study.pictures[0, :, 14:].any()


def test_pairs_without_photographs_are_not_comparable(tiny):
    folder, findings = run(tiny, "figure3", "figure6")
    assert len(findings) == 8
    assert {finding.verdict for finding in findings.values()} == {"not comparable"}
    assert all("--data-dir" in finding.why for finding in findings.values())
    assert (folder / "figures" / "figure6.png").exists()


def test_pairs_of_photographs_without_pretrained_weights_are_not_comparable(tiny):
    _, findings = run(tiny, "figure3", data_dir=str(photographs(tiny)))
    assert {finding.verdict for finding in findings.values()} == {"not comparable"}
    assert all("--weights" in finding.why for finding in findings.values())


def test_pairs_with_another_pretrained_network_name_it(tiny):
    weights = tiny / "weights.pt"
    save_checkpoint(load_model("squeezenet1_0", "none", seed=7), weights)
    config = replace(CONFIG, model="squeezenet1_0", weights=str(weights), data_dir=str(photographs(tiny)))
    study = pairs.pairs_study(Context(config), False)
    assert list(study.trained) == ["start", "pairs", "imagenet"]
    assert study.weights.tolist() == [[0.0, 1.0, 0.0]] * 6
    before, after = (study.trained[name].model.state_dict() for name in ("start", "pairs"))
    assert not torch.equal(before["features.0.weight"], after["features.0.weight"])
    known = study.trained["imagenet"].model.state_dict()
    assert torch.equal(before["features.0.weight"], known["features.0.weight"])
    assert study.trained["pairs"].model(study.images).shape == (6, 5)
    names = dict(zip(pairs.DECIDING.values(), (988, 967, 954, 928, 576), strict=True))  # ImageNet's numbers
    expected = [names[name] for name in ("acorn", "espresso", "banana", "ice cream", "gondola")]
    of_pairs, of_imagenet = study.trained["pairs"].targets, study.trained["imagenet"].targets
    assert of_imagenet.tolist() == [expected[label] for label in of_pairs.tolist()]
    setting = Setting.from_json(study.facts["setting"])
    assert setting.stand_ins == ("SqueezeNet 1.0 instead of ResNet-18",)
    assert setting.lacks == {}
    assert study.images.shape == (6, 3, 64, 128)


def test_bad_input_is_refused_in_one_line(tiny):
    with pytest.raises(InvalidInput, match="class n02486410"):
        run(tiny, "figure3", data_dir=str(photographs(tiny, classes=9)))
    with pytest.raises(InvalidInput, match="basic CNN is no ImageNet classifier"):
        pairs.pairs_study(Context(replace(CONFIG, model="basic_cnn", weights="none")), False)
    with pytest.raises(InvalidInput, match="figure8"):
        PAPER.chosen(("figure8",))
    with pytest.raises(InvalidInput, match="needs the folder MNIST/"):
        halves.half_study(Context(replace(CONFIG, preset="paper")), False)


PAPERS_OWN = Setting()
REGIONS = {"half": ["bottom half"], "shapes": ["shape", "digit"], "pairs": ["deciding image"]}
TRAINED = {"half": ["digit", "half"], "shapes": ["digit", "shape"], "pairs": ["start", "pairs"]}
CLAIMS = {"half": halves.claims, "shapes": shapes.claims, "pairs": pairs.claims}


def judged(folder: Path, study: str, *, effect=(0.9, 0.9), floor=0.5, distance=(0.52, 0.9), share=0.8, others=0.5,
           accuracy=1.0, area=0.4, setting=PAPERS_OWN) -> dict[str, str]:  # fmt: skip
    """Verdicts on hand-made scores of 3 trainings, 20 images and 3 untrained models.

    `effect` is (Guided Backprop, Gradient).
    """
    noise = np.random.default_rng(0)

    def around(value, *shape):
        return value + 0.01 * noise.standard_normal(shape)

    trained, regions = TRAINED[study], REGIONS[study]
    store_arrays(
        folder,
        effect=np.stack([np.stack([around(value, 3, 20, 3) for value in effect], axis=1)] * 2, axis=1),
        effect_floor=around(floor, 3, 2, 2, 20, 3),
        distance=np.stack([np.stack([np.stack([around(v, 3, 20, 3) for v in distance], axis=1)] * 2, axis=1)] * 2,
                          axis=1),
        distance_floor=around(floor, 3, 2, 2, 20, 3),
        share=np.stack([np.stack([around(others if name == "start" else share, 3, len(regions), 20)
                                  for name in trained], axis=1)] * 2, axis=1),
        untrained_share=around(others, 2, len(regions), 20, 3),
        area=np.full((len(regions), 20), area),
        counted=np.ones(20, dtype=bool),
    )  # fmt: skip
    write_facts(
        folder,
        trained=trained,
        regions=regions,
        methods=["Guided Backprop", "Gradient"],
        accuracies={key: [1.0, accuracy, 1.0] for key in (*trained, study)},
        tested=2000,
        setting=setting.to_json(),
    )
    return {finding.claim.name: finding.verdict for finding in CLAIMS[study].judge(folder)}


SHAPES = {f"shapes {region} {method}" for region in ("shape", "digit") for method in ("GBP", "Gradient")}


@pytest.mark.parametrize("study", TRAINED)
def test_every_claim_can_be_reproduced(tmp_path, study):
    assert set(judged(tmp_path, study).values()) == {"reproduced"}


@pytest.mark.parametrize("study", TRAINED)
def test_a_claim_is_not_comparable_where_what_it_is_about_is_missing(tmp_path, study):
    lacking = Setting(lacks={"photographs": "these are digits"}, smaller={studies.PAPER_DIGITS: "10"})
    found = judged(tmp_path, study, accuracy=0.5, setting=lacking)
    assert {name for name, verdict in found.items() if verdict == "not comparable"} == {
        name for name in found if study == "pairs" or name.endswith("accuracy")
    }


@pytest.mark.parametrize(
    ("study", "changes", "missed"),
    [
        ("half", {"accuracy": 0.9}, {"digit accuracy", "half accuracy"}),
        ("half", {"accuracy": 0.99}, {"half accuracy"}),
        ("half", {"distance": (0.8, 0.9)}, {"digit difference"}),
        ("half", {"distance": (0.9, 0.8)}, {"digit difference", "half farther"}),
        ("half", {"distance": (0.52, 0.53)}, {"half difference"}),
        ("half", {"effect": (0.4, 0.4)}, {"half effect GBP", "half effect Gradient", "half as clear"}),
        ("half", {"effect": (0.6, 0.9)}, {"half as clear"}),
        ("half", {"effect": (0.9, 0.4)}, {"half effect Gradient"}),
        ("shapes", {"accuracy": 0.97}, {"shape accuracy", "digit on shapes accuracy"}),
        ("shapes", {"share": 0.4}, SHAPES),
        ("shapes", {"area": 0.9}, SHAPES),
        ("pairs", {"accuracy": 0.7}, {"pair accuracy"}),
        ("pairs", {"others": 0.7}, {"pairs random", "pairs start"}),
        ("pairs", {"share": 0.3}, {"pairs region GBP", "pairs region Gradient"}),
    ],
)
def test_every_rule_can_be_missed(tmp_path, study, changes, missed):
    found = judged(tmp_path, study, **changes)
    assert {name for name, verdict in found.items() if verdict == "not reproduced"} == missed
