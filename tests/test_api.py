"""Run folders from Python: what `check_model` and `attribute_model` write, and what they refuse."""

import json

import numpy as np
import pytest
import torch
from nets import ConvNet, images, seeded
from PIL import Image, ImageSequence
from stopping import stop_at
from torch import nn

import probatum
from probatum import attribute, attribute_model, check_model, judge, read_run, sanity_check
from probatum.attributions import EdgeDetector, Explainer, Gradient, InputXGradient, IntegratedGradients, SmoothGrad
from probatum.cli import main
from probatum.data import Preprocessing
from probatum.errors import InvalidInput, LeftOutWarning, ModelError, UnknownName
from probatum.experiments import sanity
from probatum.metrics import get_metric
from probatum.randomization import Randomizer, Reset, automatic_stages

SHAPE = (2, 12, 12)
METHODS = [Gradient(), SmoothGrad(samples=2), EdgeDetector()]
FEW = {"metrics": ("spearman",), "keep_maps": 1}


class Gated(nn.Module):
    """Takes metadata beside the images, and returns a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ConvNet()

    def forward(self, x, gate):
        return {"scores": self.net(x * gate[:, None, None, None])}


@pytest.fixture(scope="module")
def net():
    return seeded(ConvNet, dtype=torch.float32)


@pytest.fixture(scope="module")
def x():
    return images(5, SHAPE, dtype=torch.float32)


@pytest.fixture(scope="module")
def run(net, x, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return check_model(net, x, folder, methods=METHODS, class_names="abcd", title="Our net", seed=3, **FEW)


def test_the_scores_are_those_of_sanity_check(run, net, x):
    named = dict(zip(("gradient", "SmoothGrad", "edge-detector"), METHODS, strict=True))
    expected = sanity_check(net, x, methods=named, metrics=FEW["metrics"], preset="adebayo", seed=3)
    assert run.result.methods == expected.methods
    np.testing.assert_array_equal(run.result.scores, expected.scores)
    np.testing.assert_array_equal(run.result.chance, expected.chance)
    assert run.config["data"]["images"][0]["class"] in "abcd"


def test_the_folder_is_that_of_a_check_and_no_command_repeats_it(run, tmp_path, capsys):
    names = {path.name for path in run.folder.iterdir()}
    assert names == {"config.json", "results.csv", "chance.csv", "ceiling.csv", "images.npz", "maps", "figures"} | {
        "report.html"
    }
    assert judge(read_run(run.folder).result).summaries.keys() == set(run.result.methods)
    page = (run.folder / "report.html").read_text()
    assert "Our net" in page
    assert "probatum.check_model" in page
    with pytest.raises(SystemExit):
        main(["report", str(run.folder)])
    assert (run.folder / "report.html").read_text() == page
    assert "Edge Detector (control)" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["rerun", str(run.folder), "--out", str(tmp_path / "again")])
    assert stop.value.code == 2
    assert "check_model" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_an_interrupted_check_continues_for_the_same_model_alone(run, net, x, tmp_path, monkeypatch):
    call = {"methods": METHODS, "class_names": "abcd", "title": "Our net", "seed": 3, **FEW}
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            check_model(net, x, tmp_path / "run", **call)
    with pytest.raises(InvalidInput, match="weights"):
        check_model(seeded(ConvNet, 1, torch.float32), x, tmp_path / "run", **call)
    hooked = seeded(ConvNet, dtype=torch.float32)
    hooked.register_forward_hook(lambda module, inputs, logits: 2 * logits)
    with pytest.raises(InvalidInput, match="objects model"):
        check_model(hooked, x, tmp_path / "run", **call)
    check_model(net, x, tmp_path / "run", **call)
    for name in ("results.csv", "config.json", "report.html"):
        assert (tmp_path / "run" / name).read_bytes() == (run.folder / name).read_bytes()


@pytest.mark.parametrize("write", [check_model, attribute_model])
def test_a_finished_folder_is_read_back_and_a_difference_is_named(write, net, x, tmp_path, monkeypatch):
    named = {"methods": METHODS, "title": "Our net", "class_names": "abcd", "seed": 3}
    write(net, x, tmp_path / "run", **named)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    monkeypatch.setattr("probatum.runs.kinds.run_in_work", None)
    again = write(net, x, tmp_path / "run", **named)
    stored = read_run(tmp_path / "run").result.maps if write is check_model else again.maps
    assert stored.keys() == (again.result.maps if write is check_model else again.maps).keys()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    other = seeded(ConvNet, 1, dtype=torch.float32)
    for change, name in (
        ({"seed": 4}, "seed: 3 -> 4"),
        ({"title": "Theirs"}, "title: Our net -> Theirs"),
        ({"class_names": "abce"}, "class_names"),
        ({"methods": METHODS[:2]}, "methods"),
    ):
        with pytest.raises(InvalidInput, match=name):
            write(net, x, tmp_path / "run", **named | change)
    with pytest.raises(InvalidInput, match="weights"):
        write(other, x, tmp_path / "run", **named)
    with pytest.raises(InvalidInput, match="images"):
        write(net, x + 1, tmp_path / "run", **named)


@pytest.mark.parametrize("write", [check_model, attribute_model])
def test_usual_methods_that_the_model_cannot_have_are_left_out_with_a_warning(write, x, tmp_path):
    smooth = seeded(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(300, 4)))
    with pytest.warns(LeftOutWarning, match="guided") as found:
        made = write(smooth.float(), x[:2], tmp_path / "run", samples=2, steps=2)
    assert [str(each.message).split()[0] for each in found] == ["guided-backprop", "guided-grad-cam"]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert [each["method"] for each in config["refused"]] == ["guided-backprop", "guided-grad-cam"]
    methods = made.result.methods if write is check_model else tuple(made.maps)
    assert len(methods) == 10
    assert "conservative-propagation" in methods  # in place of the guided ones
    with pytest.raises(ModelError, match="ReLU"):
        write(smooth.float(), x[:2], tmp_path / "other", methods=["gradient", "guided-backprop"])
    assert not (tmp_path / "other").exists()


def test_an_explainer_that_fails_is_skipped_on_request(net, x, tmp_path, capsys):
    def choosy(model, images, targets):
        if images.mean() > x[2].mean():
            raise RuntimeError("too bright")
        return images

    methods = {"gradient": Gradient(), "choosy": Explainer(choosy, stochastic=False)}
    with pytest.raises(ModelError, match="too bright"):
        attribute_model(net, x, tmp_path / "run", methods=methods)
    found = attribute_model(net, x, tmp_path / "run", methods=methods, on_error="skip", formats=("png",))
    bright = [image for image in range(5) if x[image].mean() > x[2].mean()]
    assert 0 < len(bright) < 5
    assert found.failures == tuple((f"image-{image:03d}", "choosy") for image in bright)
    assert np.isnan(found.maps["choosy"][bright]).all()
    assert np.isfinite(found.maps["gradient"]).all()
    pictures = {path.name for path in (tmp_path / "run" / "maps").glob("*-choosy.png")}
    assert pictures == {f"{image:03d}-choosy.png" for image in range(5) if image not in bright}
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "run")])
    assert f"{len(bright)} maps have NaN" in capsys.readouterr().out


def test_files_are_preprocessed_and_shown_as_they_were(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 10, 10, 3), dtype=np.uint8)
    for index, each in enumerate(pixels):
        Image.fromarray(each).save(tmp_path / f"{index}.png")
    files = sorted(tmp_path.glob("*.png"))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3))
    preprocessing = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    settings = {"methods": [IntegratedGradients()], "baseline": "black", "steps": 2, "preprocessing": preprocessing}
    found = attribute_model(model, files, tmp_path / "maps", limit=2, **settings)
    assert found.image_names == ("0.png", "1.png")
    np.testing.assert_allclose(found.pictures, pixels[:2].transpose(0, 3, 1, 2) / 255, atol=1e-6)
    inputs = preprocessing.apply(torch.from_numpy(pixels[:2]).permute(0, 3, 1, 2))
    method = IntegratedGradients(steps=2, baseline=probatum.attributions.Black(preprocessing.black))
    expected = attribute(model, inputs, None, {"ig": method})["ig"]
    np.testing.assert_array_equal(found.maps["integrated-gradients"], expected.numpy())
    with pytest.raises(InvalidInput, match="preprocessing"):
        attribute_model(model, files, tmp_path / "none")
    with pytest.raises(InvalidInput, match="preprocessing"):
        attribute_model(model, inputs, tmp_path / "none", methods="integrated-gradients", baseline="black")
    assert not (tmp_path / "none").exists()


def test_further_inputs_and_outputs_of_any_form(tmp_path):
    count = sanity.IMAGES_AT_ONCE + 2  # two blocks
    model, x, targets = seeded(Gated), images(count, SHAPE), torch.arange(count) % 4
    given = {"output": "scores", "extra": (torch.linspace(0.1, 2, count, dtype=torch.float64),)}
    methods = {"ours": InputXGradient()}
    found = attribute_model(model, x, tmp_path / "maps", methods=methods, targets=targets, **given)
    expected = attribute(model, x, targets, methods, **given)["ours"]
    np.testing.assert_allclose(found.maps["ours"], expected.float().numpy(), rtol=1e-6)  # stored as float32
    run = check_model(model, x, tmp_path / "run", methods=methods, **FEW, **given)
    np.testing.assert_array_equal(
        run.result.scores, sanity_check(model, x, methods=methods, metrics=("spearman",), **given).scores
    )
    assert run.config["config"]["precision"] == "float64"


def test_a_randomizer_and_metrics_of_ones_own(net, x, tmp_path):
    walk = Randomizer(net, automatic_stages(net, x), Reset(), "independent", seed=5)
    metrics = {"ours": get_metric("pearson")}
    run = check_model(net, x, tmp_path / "run", methods=["gradient"], metrics=metrics, preset=walk, trials=2)
    expected = sanity_check(net, x, methods=["gradient"], metrics=metrics, randomizer=walk, trials=2)
    np.testing.assert_array_equal(run.result.scores, expected.scores)
    assert run.config["randomization"]["order"] == "independent"
    with pytest.raises(InvalidInput, match="order"):
        check_model(net, x, tmp_path / "none", preset=walk, order="full")


def test_a_preset_brings_its_smoothing(net, x, tmp_path):
    run = check_model(net, x, tmp_path / "run", methods=[Gradient()], preset="smprt", samples=2, **FEW)
    assert run.config["methods"]["gradient"]["samples"] == 2
    assert run.config["randomization"]["preset"] == "smprt"
    assert run.result.stages[0] == "conv1"  # from the input up


@pytest.mark.parametrize(
    ("call", "error", "named"),
    [
        ({"trails": 3}, UnknownName, "trials"),
        ({"weights": "none"}, UnknownName, "weights"),
        ({"methods": {"gradient": SmoothGrad()}}, InvalidInput, "stands for"),
        ({"methods": ["gradiant"]}, UnknownName, "'gradient'"),
        ({"class_names": "abc"}, InvalidInput, "class_names"),
        ({"targets": 4}, InvalidInput, "out of range"),
        ({"image_names": ["one"]}, InvalidInput, "one name"),
        ({"pictures": torch.zeros(5, 2, 12, 12)}, InvalidInput, "pictures"),
        ({"pictures": torch.full((5, 3, 12, 12), 255.0)}, InvalidInput, "pictures"),
        ({"layer": "conv9"}, UnknownName, "conv3"),
        ({"images": torch.zeros(5, 12, 12)}, InvalidInput, "shape"),
        ({"images": torch.full((5, *SHAPE), torch.nan)}, InvalidInput, "NaN"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_are_named_and_leave_nothing(call, error, named, net, x, tmp_path):
    call = {"model": net, "images": x, "methods": ["gradient", "grad-cam"], **call}
    with pytest.raises(error, match=named):
        check_model(call.pop("model"), call.pop("images"), tmp_path / "run", **call)
    assert not (tmp_path / "run").exists()


def test_maps_are_written_in_the_formats_of_others(net, x, tmp_path):
    methods = {"gradient": "gradient", "a/b": SmoothGrad(samples=2)}
    formats = ("pt", "png", "tif")
    found = attribute_model(net, x[:1], tmp_path / "maps", methods=methods, formats=formats)
    names = [f"000-{name}.{kind}" for kind in ("png", "tif") for name in ("gradient", "method-1")]
    folder = tmp_path / "maps" / "maps"
    assert {path.name for path in folder.iterdir()} == {"000.npz", "000.pt", *names}
    stored = torch.load(folder / "000.pt", weights_only=True)
    expected = found.maps["gradient"][0]
    np.testing.assert_array_equal(stored["gradient"].numpy(), expected)
    with Image.open(folder / "000-gradient.tif") as pages:
        channels = [np.array(page) for page in ImageSequence.Iterator(pages)]
    np.testing.assert_array_equal(np.stack(channels), expected)
    with Image.open(folder / "000-gradient.png") as picture:
        pixels = np.array(picture)
    total = np.abs(expected.astype(np.float64)).sum(0)
    total = np.minimum(total, np.percentile(total, 99))
    levels = (total - total.min()) / (total.max() - total.min())
    np.testing.assert_array_equal(pixels, (255 * levels).round())
    with pytest.raises(UnknownName, match="'tif'"):
        attribute_model(net, x[:1], tmp_path / "none", methods=methods, formats=["tiff"])


def test_the_callers_model_is_left_as_it_was(net, x, tmp_path):
    model = seeded(ConvNet, dtype=torch.float32).train()
    before = json.dumps({name: value.tolist() for name, value in model.state_dict().items()})
    attribute_model(model, x, tmp_path / "maps", methods=["gradient"])
    assert model.training
    assert json.dumps({name: value.tolist() for name, value in model.state_dict().items()}) == before
