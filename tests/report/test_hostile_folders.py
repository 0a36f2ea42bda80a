"""A run folder that somebody sent: its names and links decide nothing of what is written where."""

import csv
import json
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image
from report_folders import METHODS, check_folder, reproduction_folder

from probatum.data import UNIT_RANGE, load_photographs
from probatum.errors import InvalidInput
from probatum.experiments import CheckConfig, read_run
from probatum.experiments.compare import COMPARISON
from probatum.report.run import draw_run
from probatum.report.save import figure_place
from probatum.reproductions import redraw_reproduction
from probatum.runs.files import read_table, write_json
from probatum.terminal.kinds import write_report

NAMES = (
    *(b"\xff.png", b"new\nline.png", b"return\r.png", b"escape\x1b.png", b'quote",comma.png', b"=1+1.png"),
    *(b"<script>.png", b"back\\slash.png", b"\xe2\x80\xae.png", b"x" * 240 + b".png", "数字.png".encode(), b"nan"),
)


@pytest.fixture
def names(tmp_path):
    """What a folder of files with hostile names gives; the last name is written outright."""
    paths = [tmp_path / "photographs" / os.fsdecode(name) for name in NAMES]
    paths[0].parent.mkdir()
    for path in paths:
        Image.new("L", (9, 9)).save(path, "PNG")
    return load_photographs(paths, UNIT_RANGE).image_names


def test_names_of_files_come_back_from_a_run_as_they_went_in(names, tmp_path):
    folder = check_folder(tmp_path / "run", names, kept=3, size=(1, 9, 9))
    run = read_run(folder)
    assert run.result.image_names == names
    assert list(run.result.maps) == run.config["kept_images"] == list(names[:3])
    with open(folder / "results.csv", newline="", encoding="utf-8") as file:
        cells = {row["image"] for row in csv.DictReader(file)}
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@")) or "\u202e" in cell]
    rows = read_table(folder / "results.csv", ("image",))
    assert list(dict.fromkeys(row["image"] for row in rows)) == list(names)
    assert len((folder / "results.csv").read_text("utf-8").splitlines()) == 1 + len(names) * len(METHODS) * 2 * 3 * 2
    page = write_report(folder).read_text("utf-8")
    assert not [sign for sign in page if sign != "\n" and unicodedata.category(sign) in ("Cc", "Cf", "Cs")]
    assert "<script>.png" not in page
    assert r"\xff.png" in page


def test_names_given_from_python_are_stored_or_refused(tmp_path):
    good = ("", "../../etc/passwd", "a\\b", "line\nbreak", "x" * 100_000, "<b>", "\u202e", "\x1b[0m")
    assert read_run(check_folder(tmp_path / "good", good, kept=2)).result.image_names == good
    for bad in ("\0", "\udcff"):
        with pytest.raises(InvalidInput, match="storable"):
            check_folder(tmp_path / "bad", (bad,))


def test_the_bytes_of_a_path_survive_in_the_configuration(tmp_path):
    config = CheckConfig(data="photos/\udcff\udcfe", weights="w\udce9.pt")
    write_json(tmp_path / "config.json", {"config": config.to_json()})
    text = (tmp_path / "config.json").read_bytes().decode("utf-8")
    assert CheckConfig.from_json(json.loads(text)["config"]) == config
    assert os.fsencode(config.data) == b"photos/\xff\xfe"


def test_the_name_of_a_metric_is_no_path(tmp_path):
    folder = check_folder(tmp_path / "run", ("one",), kept=0, trials=1)
    for hostile in ("../../../escaped", "/" + "x" * 300):
        for name in ("results.csv", "ceiling.csv", "chance.csv", "config.json"):
            (folder / name).write_text((folder / name).read_text().replace("spearman", hostile))
        written = draw_run(folder)
        assert {path.parent for path in written} == {folder, folder / "figures"}
        assert sorted(path.name for path in (folder / "figures").iterdir()) == [
            "curves-metric-1.png",
            "curves-ssim.png",
        ]
        folder = check_folder(tmp_path / "again", ("one",), kept=0, trials=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "run"]


@pytest.mark.parametrize(
    "presets", [["../victim", "adebayo"], ["/tmp"], [3], "adebayo", {}, ["adebayo", "adebayo"], []]
)
def test_the_presets_of_a_comparison_are_no_paths(presets, tmp_path):
    write_json(tmp_path / "config.json", {"kind": "comparison", "config": CheckConfig().to_json(), "presets": presets})
    with pytest.raises(InvalidInput, match="preset"):
        COMPARISON.request(tmp_path)


def test_links_lead_nowhere(tmp_path):
    folder = check_folder(tmp_path / "run", ("one",), kept=0, trials=1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "page").write_text("mine")
    (folder / "figures").symlink_to(tmp_path / "elsewhere")
    (folder / "report.html").symlink_to(tmp_path / "page")
    with pytest.raises(InvalidInput, match="outside"):
        draw_run(folder)
    write_report(folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "page").read_text() == "mine"
    assert not (folder / "report.html").is_symlink()


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", "a/", ""])
def test_a_figure_has_a_plain_name(name, tmp_path):
    with pytest.raises(InvalidInput, match="outside"):
        figure_place(tmp_path, name)


def test_results_of_a_reproduction_that_are_not_there_are_said(tmp_path):
    folder = reproduction_folder(tmp_path / "run")
    stored = json.loads((folder / "config.json").read_text())
    stored["config"] |= {"paper": "wienecke2021", "figures": ["figure1"]}
    (folder / "config.json").write_text(json.dumps(stored))
    with pytest.raises(InvalidInput, match="figure1 holds no complete"):
        redraw_reproduction(folder)


def test_a_few_rows_cannot_claim_a_large_array(tmp_path):
    folder = check_folder(tmp_path / "run", ("one",), kept=0, trials=1)
    head, *rows = (folder / "results.csv").read_text().splitlines()
    names = [[f"{part}{number}" for part in ("image", "0", "method", "stage")] for number in range(3000)]
    rows = [
        f"{image},0,{method},{stage},1,{number},ssim,1.0," for number, (image, _, method, stage) in enumerate(names)
    ]
    (folder / "results.csv").write_text("\n".join([head, *rows]))
    with pytest.raises(InvalidInput, match="one row for each image"):
        read_run(folder)


def test_an_archive_that_was_cut_short_is_said(tmp_path):
    folder = check_folder(tmp_path / "run", ("one",), kept=1, trials=1)
    path = folder / "maps" / "000.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidInput, match=r"no complete run of probatum: 000\.npz is no whole archive"):
        read_run(folder)
    np.savez(path, allow_pickle=False, **{name: np.zeros((2, 3, 4, 5), np.float32) for name in METHODS})
    with pytest.raises(InvalidInput, match="the maps of gradient for one have shape"):
        write_report(folder)
