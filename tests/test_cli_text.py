"""Sentences in the terminal: what is shown, what is left on disk, and one clear line for each mistake."""

import csv

import pytest

from probatum.cli import main
from probatum.experiments.text import models as text_models
from probatum.experiments.text.models import TextRecipe
from probatum.models.text import EncoderSizes, TextTraining
from probatum.terminal.kinds import text_attribution


def run(*arguments: object) -> int:
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as stop:
        main(["attribute-text", *(str(argument) for argument in arguments)])
    return stop.value.code or 0


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = TextRecipe(EncoderSizes(dimensions=8, heads=2, hidden=8), TextTraining(epochs=1, batch_size=512))
    monkeypatch.setitem(text_models.RECIPES, "sentences", recipe)
    return tmp_path


def test_a_pipe_gets_a_line_for_each_token(here, capsys):
    assert run("a dull film", "--methods", "gradient", "--out", "tokens") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("# 1. Gradient")
    with open(here / "tokens" / "tokens.csv", newline="", encoding="utf-8") as file:
        rows = [(row["token"], float(row["score"])) for row in csv.DictReader(file)]
    assert [line.split("\t")[0] for line in lines[1:]] == [token for token, _ in rows]
    assert [float(line.split("\t")[1]) for line in lines[1:]] == pytest.approx([score for _, score in rows], rel=1e-5)


def test_sentences_are_shown_and_kept(here, monkeypatch, capsys):
    (here / "more.txt").write_text("the film was dull\n", encoding="utf-8")
    options = ["--file", "more.txt", "--methods", "gradient,integrated-gradients", "--steps", "3", "--out", "tokens"]
    monkeypatch.setattr(text_attribution, "is_terminal", lambda: True)
    assert run("The plot isn't [bold]bad[/bold]", *options) == 0
    shown = capsys.readouterr().out
    assert "1. Gradient" in shown
    assert "[CLS] the plot is n't [ bold ] bad [ / bold ] [SEP]" in " ".join(shown.split())
    assert "2. Integrated Gradients" in shown
    assert sorted(path.name for path in (here / "tokens").iterdir()) == [
        *("config.json", "report.html", "tokens.csv", "tokens.png")
    ]
    with open(here / "tokens" / "tokens.csv", newline="", encoding="utf-8") as file:
        assert {row["sentence"] for row in csv.DictReader(file)} == {"0", "1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give at least one sentence"),
        ([" "], "has no words"),
        (["film " * 70], "at most 64"),
        (["a film", "--model", "sst2"], "give the data folder"),
        (["a film", "--methods", "gradiant"], "did you mean 'gradient'"),
        (["a film", "--baseline", "black"], "no baseline of text"),
        (["a film", "--target", "2"], "target 2 is out of range"),
        (["a film", "--file", "absent.txt"], "no file of sentences absent.txt"),
        (["a film", "--model", "./absent"], "there is no folder ./absent"),
    ],
)
def test_mistakes_end_in_one_line(arguments, message, here, capsys):
    assert run(*arguments, "--out", "tokens") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (here / "tokens").exists()
