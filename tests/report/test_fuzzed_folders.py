"""Whatever a run folder holds, it is read, drawn and shown, or refused; and nothing is written outside of it."""

import json
import shutil
import sys

import pytest
from fuzzing import Reader, reader
from hypothesis import strategies as st
from mutations import as_json, changed, damaged, json_files, zip_files
from report_folders import check_folder, explanation_folder, reproduction_folder

from probatum.experiments import CheckConfig, read_run
from probatum.experiments.check import CHECK
from probatum.experiments.compare import COMPARISON, read_comparison
from probatum.report.comparison import draw_comparison
from probatum.report.run import draw_run
from probatum.reproductions import read_reproduction
from probatum.runs.files import write_json
from probatum.terminal.kinds import kind_of, write_report

READERS: dict[str, Reader] = {}


def hostile_files(folder):
    """One or two files of a folder changed, by kind."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    changes = {}
    for name, content in files.items():
        if name.endswith(".json"):
            changes[name] = json_files(json.loads(content))
        else:
            changes[name] = zip_files(content) if name.endswith(".npz") else damaged(content)
    names = st.sets(st.sampled_from(sorted(changes)), min_size=1, max_size=2)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: changes[name] for name in sorted(chosen)}))


def outside(place, folder):
    return sorted(path for path in place.rglob("*") if folder not in (path, *path.parents))


def changed_settings(folder):
    """A folder whose `config.json` has other values: more of these are read than of damaged files."""
    values = changed(json.loads((folder / "config.json").read_text()))
    return st.fixed_dictionaries({"config.json": values.map(as_json)})


def of_folder(make, read, changes=hostile_files):
    """A reader of a folder whose files are changed; what it writes stays inside."""

    def prepared(place):
        sound, folder = make(place / "sound"), place / "run"

        def read_changed(case):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(sound, folder)
            for name, content in case.items():
                (folder / name).write_bytes(content)
            before = outside(place, folder)
            try:
                read(folder)
            finally:
                assert outside(place, folder) == before

        return changes(sound), read_changed

    return prepared


def small_check(folder):
    return check_folder(folder, ("one", "two"), kept=1, size=(3, 10, 12))


def comparison(folder):
    for preset in ("adebayo", "shin"):
        check_folder(folder / preset, ("one",), kept=0, trials=1)
    config = CheckConfig(methods=("gradient", "smoothgrad", "edge-detector"), metrics=("ssim", "spearman"))
    write_json(
        folder / "config.json", {"kind": "comparison", "config": config.to_json(), "presets": ["adebayo", "shin"]}
    )
    return folder


@reader(READERS, long=2000)
def runs(place):
    def read(folder):
        kind_of(folder)
        result = read_run(folder).result
        assert result.scores.shape[4] * len(result.image_names) > 0
        assert all(set(result.methods) <= set(maps) for maps in result.maps.values())

    return of_folder(small_check, read)(place)


@reader(READERS)
def settings_of_runs(place):
    return of_folder(small_check, CHECK.request)(place)


@reader(READERS, long=1500)
def pages_of_checks(place):
    return of_folder(small_check, write_report)(place)


@reader(READERS)
def pages_of_explanations(place):
    return of_folder(lambda folder: explanation_folder(folder, ("one.jpg",)), write_report)(place)


@reader(READERS)
def pages_of_reproductions(place):
    def read(folder):
        read_reproduction(folder)
        write_report(folder)

    return of_folder(reproduction_folder, read)(place)


@reader(READERS, short=20)
def comparisons(place):
    def read(folder):
        COMPARISON.request(folder)
        read_comparison(folder)

    return of_folder(comparison, read)(place)


@reader(READERS, long=1000)
def pages_of_checks_with_other_settings(place):
    return of_folder(small_check, write_report, changed_settings)(place)


@reader(READERS, short=0, long=100)
def figures_of_checks(place):
    return of_folder(small_check, draw_run, changed_settings)(place)


@reader(READERS, short=0, long=40)
def figures_of_comparisons(place):
    return of_folder(comparison, draw_comparison)(place)


@pytest.mark.parametrize("name", [name for name, each in READERS.items() if each.short])
def test_any_folder_is_read_or_refused(name, tmp_path):
    sound, refused = READERS[name].fuzz(tmp_path, thorough=False)
    assert sound + refused >= READERS[name].short


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_any_folder_is_read_or_refused_at_length(name, tmp_path, capsys):
    sound, refused = READERS[name].fuzz(tmp_path, thorough=True)
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {sound} sound, {refused} refused\n")
