"""Sentences explained into a folder, and the files that show them."""

import csv
import json
import re

import numpy as np
import pytest
from stopping import stop_at

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.text import models as text_models
from probatum.experiments.text.models import TextRecipe
from probatum.experiments.text.run import (
    COLUMNS,
    TEXT_ATTRIBUTION,
    TextConfig,
    explain_sentences,
    read_sentence_scores,
    read_sentences,
)
from probatum.models.text import EncoderSizes, TextTraining
from probatum.report.sentences import sentence_maps
from probatum.report.text_run import draw_text

SENTENCES = ("the film is not good", "a <b>lovely</b> plot")
METHODS = ("gradient", "integrated-gradients")


@pytest.fixture
def quick(tmp_path, monkeypatch):
    recipe = TextRecipe(EncoderSizes(dimensions=8, heads=2, hidden=8), TextTraining(epochs=1, batch_size=512))
    monkeypatch.setitem(text_models.RECIPES, "sentences", recipe)
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_folder_of_explanations(quick):
    config = TextConfig(SENTENCES, methods=METHODS, steps=3, device="cpu")
    found = explain_sentences(config, quick)
    with open(quick / "tokens.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(len(each.tokens) for each in found) * len(METHODS)
    second = [row for row in rows if row["sentence"] == "1" and row["method"] == "gradient"]
    assert [row["token"] for row in second] == list(found[1].tokens)
    np.testing.assert_allclose([float(row["score"]) for row in second], found[1].scores["gradient"], rtol=1e-12)
    assert second[0]["delta"] == ""
    facts = json.loads((quick / "config.json").read_text(encoding="utf-8"))
    assert facts["config"]["sentences"] == list(SENTENCES)
    assert facts["methods"]["integrated-gradients"]["steps"] == 3
    assert "tensor" not in json.dumps(facts)
    assert len(facts["model"]["weights_sha256"]) == 64
    picture, page = draw_text(quick)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    shown = page.read_text(encoding="utf-8")
    assert len(re.findall('<span class="token[^>]*><bdi>lovely<', shown)) == len(METHODS)
    assert len(re.findall('<span class="token[^>]*><bdi>&lt;<', shown)) == 2 * len(METHODS)
    assert "<b>" not in shown
    strongest = max(found[0].scores["gradient"], key=abs)
    assert (
        f'class="token {"for" if strongest > 0 else "against"} s10" title="{strongest:+.3g}"'.replace("-", "−") in shown
    )
    assert "probatum attribute-text" in shown
    assert list(sentence_maps(found)) == [
        "1. Gradient",
        "1. Integrated Gradients",
        "2. Gradient",
        "2. Integrated Gradients",
    ]


def test_an_interrupted_run_continues_and_ends_as_one_that_was_not(quick, tmp_path, monkeypatch):
    config = TextConfig((*SENTENCES, "a much longer sentence"), methods=METHODS, steps=3, device="cpu")
    whole = explain_sentences(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        with pytest.raises(KeyboardInterrupt) as stopped:
            explain_sentences(config, tmp_path / "run")
    assert "cells are stored" in stopped.value.kept
    said = []
    again = explain_sentences(config, tmp_path / "run", say=said.append)
    assert "continuing: 1 of" in said[0]
    for name in ("config.json", "tokens.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for one, other, read in zip(whole, again, read_sentence_scores(tmp_path / "run"), strict=True):
        assert one.tokens == other.tokens == read.tokens
        for name in METHODS:
            np.testing.assert_array_equal(one.scores[name], other.scores[name])
            np.testing.assert_array_equal(one.scores[name], read.scores[name])
        assert one.delta == other.delta == read.delta
    assert TEXT_ATTRIBUTION.request(tmp_path / "run") == config


def test_the_note_says_what_is_doubtful(quick):
    (each, _) = explain_sentences(TextConfig(SENTENCES, methods=METHODS, steps=1, device="cpu"), quick)
    each.kept["gradient"] = 1e-9
    each.delta["integrated-gradients"] = -0.25
    notes = [maps[0].note for maps in sentence_maps([each]).values()]
    assert "sums are rounding only" in notes[0]
    assert "-0.25 from complete, take more steps" in notes[1]


def test_lines_of_a_file(tmp_path):
    path = tmp_path / "some.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\n  two words \n")
    assert read_sentences(path) == ("one", "two words")
    for content, message in ((b"fine\n\xff\n", "line 2 is not UTF-8"), (b"\n \n", "holds no sentence")):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=message):
            read_sentences(path)
    with pytest.raises(InvalidInput, match="no file of sentences"):
        read_sentences(tmp_path / "absent")


@pytest.mark.parametrize(
    "wrong",
    [
        {"sentences": ()},
        {"methods": ()},
        {"methods": ("gradiant",)},
        {"baseline": "black"},
        {"steps": 0},
        {"samples": 0},
    ],
)
def test_impossible_configurations_are_refused(wrong):
    with pytest.raises((InvalidInput, UnknownName)):
        TextConfig(**{"sentences": ("a",), **wrong})
