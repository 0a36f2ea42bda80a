"""Records survive their file, and tables and figures are made of them alone."""

import json

import pytest
import torch
from benchmarks.made import CURVES, MEMORY, SHARED, TIMES, record

import probatum
from probatum.benchmarks import Entry, Record, figure, markdown, read_records, table, write_records
from probatum.benchmarks.environment import environment
from probatum.errors import InvalidInput


def test_a_record_reads_back_as_it_was_written(tmp_path):
    write_records([TIMES, CURVES, MEMORY], tmp_path / "record.json")
    assert read_records(tmp_path / "record.json") == (TIMES, CURVES, MEMORY)


def test_what_is_no_record_is_refused(tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_records(path)
    for text, message in (("{", "cannot be read"), ("[1]", "no benchmark records"), ('[{"version": 0}]', "version 1")):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=message):
            read_records(path)
    values = TIMES.to_json()
    del values["entries"][0]["who"]
    path.write_text(json.dumps([values]))
    with pytest.raises(InvalidInput, match="lack 'who'"):
        read_records(path)


def test_rates_and_ratios_by_hand():
    ours, bare, captum = TIMES.entries
    assert ours.time == (1.5, 2.0, 3.0)
    assert ours.per_second(ours.gradients) == 4.0
    assert captum.per_second(captum.gradients) is None
    assert TIMES.relative(ours) == (1.0, 1.0, 1.0)
    assert TIMES.relative(bare) == (0.5, 0.5, 0.75)
    assert TIMES.relative(captum).median == 2.0


def test_no_ratio_without_probatum_or_without_equal_rounds():
    alone = record(Entry("Gradient", "Captum", seconds=(1.0,)), Entry("Gradient", "bare", seconds=(1.0,)))
    assert alone.relative(alone.entries[0]) is None
    uneven = record(Entry("Gradient", "probatum", seconds=(1.0,)), Entry("Gradient", "bare", seconds=(1.0, 2.0)))
    assert uneven.relative(uneven.entries[1]) is None


def test_the_table_shows_error_beside_speed_and_leaves_empty_columns_out():
    headings, rows = table(TIMES)
    assert headings == ["work", "who", "time", "× probatum", "× bare", "gradients/s", "maps/s", "error", "note"]
    assert rows[2][:4] == ["Gradient", "Captum, defaults", "4 s [3.5 s, 5 s]", "2 [1.75, 2.5]"]
    assert rows[2][4:] == ["", "", "2", "2.5e-01", "slow | and wrong"]
    assert rows[0][4] == "2 [1.5, 2]"
    headings, rows = table(MEMORY)
    assert headings == ["work", "who", "peak memory", "note"]
    assert rows[0][2] == "100 MiB"
    assert "gradients" in table(CURVES)[0]


def test_markdown_escapes_and_names_the_machine():
    text = markdown([TIMES])
    assert "slow \\| and wrong" in text
    assert "- Quantus is not installed" in text
    assert "an abacus, 1 of 2 CPU threads" in text
    assert "torch 2.9" in text
    assert "captum" not in text  # its version is not known


@pytest.mark.parametrize("made", [TIMES, CURVES, MEMORY, SHARED, record(TIMES.entries[0])], ids=str)
def test_every_kind_of_record_is_drawn(made, tmp_path):
    drawn = figure(made)
    drawn.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    words = [text.get_text() for axes in drawn.axes for text in axes.texts] + [
        label.get_text() for axes in drawn.axes if axes.get_legend() for label in axes.get_legend().get_texts()
    ]
    for entry in made.entries:
        assert any(entry.contest in text for text in words)


def test_shares_stand_in_the_row_of_their_method():
    axes = figure(SHARED).axes[0]
    rows = {text.get_text(): text.xy[1] for text in axes.texts}
    marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata())}
    assert marks == {(0.1, rows["gradient"]), (-0.05, rows["gradient"]), (1.0, rows["edges"])}


def test_ratios_stand_where_the_figure_says():
    axes = figure(TIMES).axes[0]
    marks = [line for line in axes.lines if line.get_marker() != "None"]
    assert [line.get_xdata()[0] for line in marks] == [1.0, 0.5, 2.0]


def test_an_empty_record_cannot_be_drawn():
    with pytest.raises(InvalidInput, match="nothing to draw"):
        figure(Record("methods", "", {}, {}, ()))


def test_the_version_is_that_of_the_code_and_not_of_an_older_installation():
    assert environment(torch.device("cpu"))["versions"]["probatum"] == probatum.__version__
