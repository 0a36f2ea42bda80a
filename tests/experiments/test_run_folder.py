"""Run folders are whole or absent, and read back as they were written."""

import csv
import json

import numpy as np
import pytest
from nets import ConvNet, images, seeded

from probatum.attributions import EdgeDetector, Gradient, SmoothGrad
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments import CheckConfig, read_run, sanity_check
from probatum.experiments.run_folder import COLUMNS, write_results
from probatum.runs.files import write_json


@pytest.fixture(scope="module")
def result():
    return sanity_check(
        seeded(ConvNet),
        images(3, (2, 24, 23)),
        methods={"gradient": Gradient(), "smoothgrad": SmoothGrad(samples=2), "edge-detector": EdgeDetector()},
        metrics=("ssim", "spearman"),
        image_names=["a,b", 'c"d', "../e"],
        trials=2,
        keep_maps=2,
    )


def test_results_round_trip(result, tmp_path):
    write_json(tmp_path / "config.json", {"kept_images": list(result.maps)})
    write_results(tmp_path, result)
    again = read_run(str(tmp_path)).result
    assert again.methods == result.methods
    assert again.metrics == result.metrics
    assert again.stages == result.stages
    assert again.image_names == result.image_names
    assert again.targets == result.targets
    np.testing.assert_array_equal(again.scores, result.scores)
    np.testing.assert_array_equal(again.constant, result.constant)
    np.testing.assert_array_equal(again.ceiling, result.ceiling)
    assert np.isfinite(again.ceiling[1]).all()
    for image, maps in result.maps.items():
        for method, values in maps.items():
            np.testing.assert_array_equal(again.maps[image][method], values)


def test_results_are_tidy(result, tmp_path):
    write_results(tmp_path, result)
    with open(tmp_path / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == result.scores.size
    assert len({tuple(row[name] for name in COLUMNS[:7]) for row in rows}) == len(rows)
    row = next(r for r in rows if r["method"] == "gradient" and r["metric"] == "spearman" and r["step"] == "3")
    assert float(row["score"]) == result.of("gradient", "spearman")[2, 0, 0]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["000.npz", "001.npz"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", "{}"),
        ("results.csv", "image\n1\n"),
        ("ceiling.csv", "method,metric,image,score\ngradient,ssim,x,1\n"),
        ("chance.csv", "image,method,stage,trial,metric,score\nx,gradient,fc,0,ssim,0\n"),
        ("maps/000.npz", "no archive"),
    ],
)
def test_damaged_runs_are_refused(name, content, result, tmp_path):
    write_json(tmp_path / "config.json", {"kept_images": list(result.maps)})
    write_results(tmp_path, result)
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match="no complete run"):
        read_run(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no complete run"):
        read_run(tmp_path)


def test_configuration_round_trips_through_json():
    config = CheckConfig(methods=("gradient", "grad-cam"), samples=3, seed=5, memory_budget="1 GiB")
    assert CheckConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"methods": ("gradiant",)}, UnknownName, "did you mean 'gradient'"),
        ({"metrics": ("sim",)}, UnknownName, "did you mean 'ssim'"),
        ({"preset": "adebajo"}, UnknownName, "adebayo"),
        ({"order": "cascade"}, UnknownName, "cascading"),
        ({"initializer": "xavie"}, UnknownName, "xavier"),
        ({"batch_norm": "keep"}, UnknownName, "keep-statistics"),
        ({"baseline": "white"}, UnknownName, "zero"),
        ({"images": 0}, InvalidInput, "images is 0"),
        ({"trials": -1}, InvalidInput, "trials is -1"),
        ({"keep_maps": -1}, InvalidInput, "keep_maps"),
        ({"methods": ()}, InvalidInput, "at least one method"),
    ],
)
def test_wrong_configurations_are_refused(values, error, message):
    with pytest.raises(error, match=message):
        CheckConfig(**values)


def test_unknown_settings_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'images'"):
        CheckConfig.from_json({"image": 3})
