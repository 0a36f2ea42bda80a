"""Faults in a check: memory that runs out, maps that are not finite, images that cannot be read, disks that fail."""

import csv
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_mlp
import torch
from nets import ConvNet, images, seeded
from PIL import Image
from torch import nn

from probatum import cli, storage
from probatum.attributions import METHODS, DeepLIFT, EdgeDetector, Gradient, SmoothGrad
from probatum.errors import ModelError
from probatum.experiments import CheckConfig, judge, read_run, run_check, sanity_check
from probatum.experiments.build import model as building
from probatum.experiments.result import Failure
from probatum.experiments.run_folder import write_results
from probatum.randomization import Moments, Randomizer, automatic_stages
from probatum.terminal import commands

SHAPE = (2, 24, 23)
CONFIG = CheckConfig(
    model="mlp",
    weights="none",
    images=5,
    methods=("gradient", "smoothgrad", "edge-detector"),
    metrics=("spearman", "ssim"),
    samples=40,
    keep_maps=3,
    device="cpu",
)
COMMAND = [
    *("check", "--model", "mlp", "--weights", "none", "--images", "33", "--samples", "2", "--device", "cpu"),
    *("--methods", "gradient,smoothgrad,edge-detector", "--metrics", "spearman", "--out", "run"),
]


@pytest.fixture
def small(monkeypatch):
    for name, value in tiny_mlp.PLACES.items():
        monkeypatch.setattr(building, name, value)


@pytest.fixture
def here(tmp_path, monkeypatch, small) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    return stop.value.code or 0


class Hungry(nn.Module):
    """Runs out of memory where a call holds too many rows, as CUDA does."""

    calls: list[int] = []  # noqa: RUF012
    most = 10_000

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x):
        self.calls.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.model(x)


def test_where_memory_runs_out_the_check_goes_on_with_smaller_chunks(small, tmp_path, monkeypatch):
    load = building.load_model
    monkeypatch.setattr(building, "load_model", lambda *arguments, **options: Hungry(load(*arguments, **options)))
    expected = run_check(CONFIG, tmp_path / "roomy")
    assert max(Hungry.calls) > 13
    monkeypatch.setattr(Hungry, "most", 13)
    Hungry.calls.clear()
    found = run_check(CONFIG, tmp_path / "tight")
    fit = [rows for rows in Hungry.calls if rows <= 13]
    assert len(fit) < len(Hungry.calls)
    assert max(fit) > 1
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)  # the same sums in another order, in float32
    assert found.failures == ()


def test_a_row_that_never_fits_ends_the_check_and_leaves_nothing(here, monkeypatch, capsys):
    load = building.load_model
    monkeypatch.setattr(Hungry, "most", 0)
    monkeypatch.setattr(building, "load_model", lambda *arguments, **options: Hungry(load(*arguments, **options)))
    assert run(*COMMAND) == 1
    error = capsys.readouterr().err
    assert "one row does not fit in memory" in error
    assert len(error.splitlines()) == 1
    assert list(here.iterdir()) == []


class Overflowing(nn.Module):
    """Its gradient is not finite for images with a large mean."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.net = seeded(ConvNet)
        self.limit = limit

    def forward(self, x):
        large = x.flatten(1).mean(1) > self.limit
        return self.net(x) * torch.where(large, torch.inf, 1.0)[:, None]


def overflowing(**options):
    """A check of five images, the gradients of the third one of which are not finite."""
    x = images(5, SHAPE)
    x[2] += 10
    model = Overflowing(5.0)
    return sanity_check(
        model,
        x,
        torch.tensor([0, 1, 2, 3, 0]),
        methods={"gradient": Gradient(), "smoothgrad": SmoothGrad(samples=2), "edge-detector": EdgeDetector()},
        metrics=("spearman", "ssim"),
        randomizer=Randomizer(model, automatic_stages(model, x), Moments()),
        trials=2,
        keep_maps=3,
        **options,
    )


def test_maps_that_are_not_finite_cost_their_own_scores_alone():
    result = overflowing(on_nan="record")
    lost = ~np.isfinite(result.scores)
    assert lost[:2, :, :, 2].all()
    assert not lost[2].any()
    assert not np.delete(lost, 2, axis=3).any()
    assert np.isnan(result.ceiling[1, :, 2]).all()
    assert np.isfinite(np.delete(result.ceiling[1], 2, axis=1)).all()
    assert (result.constant == 0).all()
    stages = len(result.stages)
    assert len(result.failures) == 3 + 2 * 2 * stages  # two maps and one with seed + 1; two of each stage and trial
    assert {failure.image for failure in result.failures} == {"image-002"}
    assert result.failures[0] == Failure("image-002", "gradient", "trained model", None, "Overflowing")
    assert str(result.failures[-1]) == (f"smoothgrad of image-002 (Overflowing, stage {result.stages[-1]}, trial 2)")
    assert np.isnan(result.maps["image-002"]["gradient"]).all()
    assert np.isfinite(result.maps["image-002"]["edge-detector"]).all()


def test_scores_beside_a_failure_are_those_without_it():
    result = overflowing(on_nan="record")
    x = images(5, SHAPE)
    model = Overflowing(np.inf)
    plain = sanity_check(
        model,
        x,
        torch.tensor([0, 1, 2, 3, 0]),
        methods={"gradient": Gradient()},
        metrics=("spearman", "ssim"),
        randomizer=Randomizer(model, automatic_stages(model, x), Moments()),
        trials=2,
    )
    others = [0, 1, 3, 4]
    np.testing.assert_allclose(result.scores[0][:, :, others], plain.scores[0][:, :, others], rtol=0, atol=1e-12)


def test_by_default_such_a_map_is_an_error_that_names_it():
    with pytest.raises(ModelError, match=r"gradient of image-002 \(Overflowing, trained model\) has NaN or infinite"):
        overflowing()


def test_a_model_that_is_finite_only_when_trained_fails_at_the_stage():
    class Infinite(Moments):
        def _draw(self, module, name, trained, generator):
            return torch.full_like(trained, 1e200)

    net = seeded(ConvNet)
    result = sanity_check(
        net,
        images(2, SHAPE),
        methods={"gradient": Gradient(), "deeplift": DeepLIFT()},
        metrics=("ssim",),
        randomizer=Randomizer(net, automatic_stages(net, images(1, SHAPE)), Infinite()),
        on_nan="record",
    )
    assert np.isnan(result.of("gradient", "ssim")[-1]).all()
    assert {failure.trial for failure in result.failures} == {0}
    assert all(failure.stage in result.stages for failure in result.failures)


def test_failures_are_stored_and_verdicts_rest_on_the_other_images(tmp_path):
    result = overflowing(on_nan="record")
    write_results(tmp_path, result)
    with open(tmp_path / "failures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "image": "image-002", "method": "gradient", "stage": "trained model", "trial": "", "model": "Overflowing"
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"kept_images": list(result.maps)}))
    again = read_run(tmp_path).result
    assert again.failures == result.failures
    np.testing.assert_array_equal(again.scores, result.scores)
    others = [0, 1, 3, 4]
    without = replace(
        result,
        image_names=tuple(result.image_names[image] for image in others),
        scores=result.scores[:, :, :, others],
        constant=result.constant[:, :, others],
        ceiling=result.ceiling[:, :, others],
        chance=result.chance[:, :, :, others],
    )
    found, expected = judge(result), judge(without)
    assert found.broken == ()
    for verdict in found.verdicts:
        if not METHODS[verdict.method].control:
            other = expected.of(verdict.method, verdict.metric)
            assert (verdict.word, verdict.live) == (other.word, other.live)
            numbers = [(each.score, each.chance, each.ceiling) for each in (verdict, other)]
            assert numbers[0] == pytest.approx(numbers[1], rel=1e-12, nan_ok=True)


def test_a_method_without_any_score_is_undecided():
    result = overflowing(on_nan="record")
    scores = result.scores.copy()
    scores[0] = np.nan
    verdict = judge(replace(result, scores=scores)).of("gradient", "ssim")
    assert verdict.word == "undecided"
    assert verdict.reason == "no map has a score: all have NaN or infinite values"


class _BlowsUp(nn.Module):
    """Gradients that overflow for the brightest digits."""

    def __init__(self, model: nn.Module, limit: float) -> None:
        super().__init__()
        self.model, self.limit = model, limit

    def forward(self, x):
        return self.model(x) * torch.where(x.flatten(1).mean(1) > self.limit, torch.inf, 1.0)[:, None]


@pytest.mark.parametrize(("limit", "code"), [(0.12, 0), (-10.0, 1)])
def test_the_terminal_counts_failures_and_draws_what_is_left(limit, code, here, monkeypatch, capsys):
    load = building.load_model
    monkeypatch.setattr(building, "load_model", lambda *arguments, **o: _BlowsUp(load(*arguments, **o), limit))
    assert run(*COMMAND, "--keep-maps", "5") == code
    shown = capsys.readouterr()
    words = " ".join(shown.out.split())  # lines are broken at the width of the terminal
    assert "have NaN or infinite values and so no score; failures.csv names them: gradient of " in words
    if code:
        assert "not one score exists: all maps of MLP have NaN or infinite values" in shown.err
    result = read_run(here / "run").result
    failed = {failure.image for failure in result.failures}
    assert len(failed) == 33 if code else 0 < len(failed) < 33
    config = json.loads((here / "run" / "config.json").read_text())
    assert config["failures"] == len(result.failures)
    assert (here / "run" / "report.html").is_file()
    assert (here / "run" / "figures" / "curves-spearman.png").is_file()


def photographs(folder: Path) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(4):
        pixels = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:3000])  # cut short
    (folder / "2.png").write_bytes(b"no image")
    return folder


def test_images_that_cannot_be_read_are_refused_or_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photographs(tmp_path / "photos")
    options = ["--model", "squeezenet1_1", "--weights", "none", "--methods", "gradient", "--precision", "float32"]
    command = ["attribute", "photos", *options, "--images", "3", "--out"]
    assert run(*command, "a") == 2
    assert "1.png: not a readable image" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert run(*command, "b", "--on-error", "skip") == 0
    assert "2 images cannot be read and were left out: 1.png: not a readable image" in capsys.readouterr().out
    facts = json.loads((tmp_path / "b" / "config.json").read_text())
    assert [image["image"] for image in facts["images"]] == ["0.png", "3.png"]
    assert [image["name"] for image in facts["skipped"]] == ["1.png", "2.png"]
    assert run(*command, "c", "--on-error", "ignore") == 2
    assert "'ignore'" in capsys.readouterr().err


def test_a_check_records_what_it_skipped(tmp_path):
    config = CheckConfig(
        data=str(photographs(tmp_path / "photos")),
        model="squeezenet1_1",
        weights="none",
        methods=("edge-detector",),
        metrics=("cosine",),
        order="full",
        images=2,
        keep_maps=0,
        device="cpu",
        on_error="skip",
    )
    result = run_check(config, tmp_path / "run")
    assert result.image_names == ("0.png", "3.png")
    assert [image["name"] for image in read_run(tmp_path / "run").config["data"]["skipped"]] == ["1.png", "2.png"]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("point", [8, 30])  # among the cells; among the results
def test_a_disk_that_fails_ends_the_run_in_one_line_and_keeps_what_there_is(fault, point, here, monkeypatch, capsys):
    monkeypatch.setattr(commands, "CHECK", replace(commands.CHECK, draw=lambda folder, progress, ranks: []))
    assert run(*COMMAND[:-1], "whole") == 0
    capsys.readouterr()
    fsync, seen = os.fsync, []

    def failing(handle):
        seen.append(handle)
        if len(seen) >= point:
            raise OSError(fault, os.strerror(fault))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "fsync", failing)
        assert run(*COMMAND) == 1
    error = capsys.readouterr().err
    assert os.strerror(fault) in error
    assert "of 6 cells are stored in run: give the same command again to continue" in error
    assert len(error.splitlines()) == 1
    assert not list((here / "run").rglob("*.part"))
    assert run(*COMMAND) == 0
    assert (here / "run" / "results.csv").read_bytes() == (here / "whole" / "results.csv").read_bytes()
