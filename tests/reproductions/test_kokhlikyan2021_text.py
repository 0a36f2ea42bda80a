"""The text half of Kokhlikyan et al. 2021: the rules of the judges, and both experiments on tiny sizes."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import special_ortho_group

from probatum.data.sentence_set import SentenceSet
from probatum.errors import InvalidInput
from probatum.experiments.text.cascade import METRICS
from probatum.experiments.text.models import TextRecipe
from probatum.models.text import EncoderSizes, TextTraining
from probatum.report import save_figure
from probatum.reproductions.base import Context, ReproductionConfig, read_facts, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021 import (
    text_cascade,
    text_labels,
    text_permuted,
    text_subject,
)
from probatum.reproductions.kokhlikyan2021.quality_table import HEADER, write_quality_table
from probatum.reproductions.kokhlikyan2021.text_labels import AGAIN
from probatum.reproductions.setting import Setting

SHAPE = (2, 3, 4, 5, 6)  # method, metric, stage, sentence, trial
RECIPE = TextRecipe(EncoderSizes(8, 2, 2, 8, 0.0, 0.0), TextTraining(epochs=1, learning_rate=1e-2))
MADE = SentenceSet(
    "opinions",
    ("the film is bad", "the film is good", "the plot is not good", "the plot is not bad at all") * 4,
    torch.arange(16) % 2,
    ("negative", "positive"),
)


@pytest.fixture
def tiny(whole_run, tmp_path, monkeypatch):
    monkeypatch.setitem(text_subject.RECIPES, "sentences", RECIPE)
    monkeypatch.setattr(text_subject, "load_sentences", lambda *_: MADE)
    monkeypatch.setitem(
        text_cascade.SIZES, "quick", text_cascade.TextCascadeSizes(sentences=3, words=5, trials=2, steps=3)
    )
    monkeypatch.setitem(
        text_labels.SIZES, "quick", text_labels.TextLabelSizes(3, 5, 3, permuted=8, trainings=2, shown=2)
    )
    recipe = replace(RECIPE, training=replace(RECIPE.training, monitor="train", target_accuracy=0.95))
    monkeypatch.setattr(text_permuted, "memorizing", lambda *_: recipe)
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def context(**options):
    return Context(ReproductionConfig("kokhlikyan2021", **options))


def failed(findings):
    return {finding.claim.name for finding in findings if finding.verdict == "not reproduced"}


def assert_drawn(experiment, folder, names):
    """All figures are there, and the main one has the same bytes when it is drawn again."""
    once, again = experiment.draw(folder), experiment.draw(folder)
    assert set(once) == names
    first, second = (save_figure(figures[""], folder / "figure")[0].read_bytes() for figures in (once, again))
    assert first == second


def test_the_sizes_of_the_paper():
    assert text_cascade.TextCascadeSizes(sentences=10, words=40, trials=10, steps=50) == text_cascade.SIZES["paper"]
    assert (text_permuted.MEMORIZING.monitor, text_permuted.MEMORIZING.target_accuracy) == ("train", 0.95)


def test_the_first_sentence_is_the_papers_or_a_positive_one():
    made = text_subject.TextData("sentences", "made sentences", MADE, MADE)
    for seed in range(4):
        chosen = text_subject.sentences_of(made, 5, 5, seed)
        assert chosen[0] == "the film is good"
        assert len(chosen) == 5
        assert "the plot is not bad at all" not in chosen
    review = text_subject.sentences_of(replace(made, key="sst2"), 5, 5, 0)
    assert review[0] == "it is such a fantastic movie"
    assert text_subject.sentences_of(made, 8, 5, 0) != text_subject.sentences_of(made, 8, 5, 1)
    with pytest.raises(InvalidInput, match="holds 12 sentences of at most 5 words, not 13"):
        text_subject.sentences_of(made, 13, 5, 0)


def test_the_paper_preset_needs_sst2():
    with pytest.raises(InvalidInput, match="needs the folder sst2/"):
        text_subject.load_text_data(context(preset="paper"))


def test_the_chance_of_a_cosine():
    directions = special_ortho_group.rvs(6, size=4000, random_state=0)[:, 0]
    expected = np.abs(directions[:, 0]).mean()
    assert text_cascade.chance_cosine(np.array([6]))[0] == pytest.approx(expected, abs=0.02)  # 4000 draws
    assert text_cascade.chance_cosine(np.array([[1]]))[0, 0] == pytest.approx(1)


def store_cascade(folder, metric=None, value=0.0, quality=None, setting=None, flatness=0.89):
    """Scores of unrelated explanations and quality that falls, with what is said replaced."""
    signs = np.where(np.arange(SHAPE[-1]) % 2, 1.0, -1.0)
    scores = np.empty(SHAPE)
    scores[:, 0], scores[:, 1], scores[:, 2] = 0.2 * signs, np.sqrt(2), 0.1 * signs
    if metric is not None:
        scores[:, metric] = value
    goodness = np.full((2, 2, 5, 5, 6), 0.5)
    goodness[:, :, 0] = 1.0
    for place, number in (quality or {}).items():
        goodness[place] = number
    store_arrays(
        folder,
        scores=scores,
        constant=np.zeros((2, 4, 5, 6), np.int8),
        quality=goodness,
        directions=np.full((2, 5), 8),
        flatness=np.stack([np.full(5, 0.5), np.full(5, flatness)]),
    )
    write_facts(folder, setting=(setting or Setting()).to_json(), stages=list("abcd"))


SIGNS = np.where(np.arange(6) % 2, 1.0, -1.0)


def only_global(value):
    """A value for global IG, the unrelated one for local."""
    return np.stack([np.full(SHAPE[2:], value), np.broadcast_to(0.2 * SIGNS, SHAPE[2:])])


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, set()),
        ({"metric": 0, "value": 0.3 * SIGNS}, set()),
        ({"metric": 0, "value": 0.9 * SIGNS}, {"dissimilar"}),
        ({"metric": 0, "value": 0.25}, {"cosine-zero-global", "cosine-zero-local"}),
        ({"metric": 0, "value": only_global(0.31)}, {"cosine-zero-global", "no-multiplier"}),
        ({"metric": 1, "value": 0.99}, {"euclidean-global", "euclidean-local"}),
        ({"metric": 2, "value": -0.21}, {"spearman-zero-global", "spearman-zero-local"}),
        ({"quality": {(1, 0, 2): 1.6}}, {"infidelity-low-local"}),
        ({"quality": {(0, 1, 4): 1.6}}, {"sensitivity-low-global"}),
    ],
)
def test_each_claim_of_the_cascade_can_hold_and_fail(change, names, tmp_path):
    store_cascade(tmp_path, **change)
    findings = text_cascade.CASCADE.judge(tmp_path)
    assert len(findings) == 12
    assert failed(findings) == {f"text-{name}" for name in names}
    assert not any("instead of" in finding.why for finding in findings)


def test_claims_on_bert_are_not_judged_on_the_small_encoder(tmp_path):
    made = text_subject.TextData("sst2", "SST-2", MADE, MADE)
    store_cascade(tmp_path, setting=text_subject.text_setting("a small encoder", made, small=True))
    findings = text_cascade.CASCADE.judge(tmp_path)
    assert {finding.verdict for finding in findings} == {"not comparable"}
    assert all("give --text-model" in finding.why for finding in findings)


def test_another_bert_and_undefined_scores_are_named(tmp_path):
    made = text_subject.TextData("sst2", "SST-2", MADE, MADE)
    other = text_subject.text_setting("MiniLM", made, small=False)
    store_cascade(tmp_path, quality={(0, 1, 2, 3, 4): np.nan}, setting=other)
    findings = text_cascade.CASCADE.judge(tmp_path)
    assert not failed(findings)
    assert all("judged on MiniLM on SST-2 instead of BERT on SST-2" in finding.why for finding in findings)
    assert all("1 of 600 infidelities and max-sensitivities are undefined" in finding.notes for finding in findings)


def test_scores_that_do_not_tell_words_apart_are_named(tmp_path):
    store_cascade(tmp_path)
    assert not any("nearly the same" in finding.notes for finding in text_cascade.CASCADE.judge(tmp_path))
    store_cascade(tmp_path, flatness=0.97)
    notes = [finding.notes for finding in text_cascade.CASCADE.judge(tmp_path)]
    assert all(
        "local scores are nearly the same for all tokens (cosine with equal scores: 0.97)" in note for note in notes
    )
    assert text_cascade._flatness(np.array([2.0, 2.0, 2.0])) == pytest.approx(1)
    assert text_cascade._flatness(np.array([1.0, -1.0])) == 0
    assert text_cascade._flatness(np.zeros(3)) == 0


def store_labels(folder, accuracy=0.9, memorized=0.96, again=0.8, permuted=0.1, quality=1.0, memorized_sentences=90):
    scores = np.zeros((3, 2, 2, 3, 6))
    scores[:, 0, :, 0], scores[:, 1, :, 0] = again, permuted
    goodness = np.ones((3, 2, 2, 2, 6))
    goodness[:, 1, 1] = quality
    store_arrays(folder, scores=scores, constant=np.zeros((3, 2, 2, 6), np.int8), quality=goodness)
    write_facts(
        folder,
        data="sst2",
        accuracy=[0.95, accuracy, 0.95],
        memorized=[0.99, memorized, 0.99],
        memorized_sentences=memorized_sentences,
        training_sentences=90,
        setting=Setting().to_json(),
    )


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, set()),
        ({"accuracy": 0.79}, {"learnt"}),
        ({"memorized": 0.94}, {"memorized"}),
        ({"again": 0.1}, {"different-global", "different-local"}),
        ({"quality": 3.1}, {"same-infidelity-local", "same-max-sensitivity-local"}),
        ({"quality": 0.3}, {"same-infidelity-local", "same-max-sensitivity-local"}),
    ],
)
def test_each_claim_of_the_labels_can_hold_and_fail(change, names, tmp_path):
    store_labels(tmp_path, **change)
    findings = text_labels.LABELS.judge(tmp_path)
    assert failed(findings) == {f"text-labels-{name}" for name in names}
    missed = bool(names & {"learnt", "memorized"})
    assert all(("required accuracy" in finding.notes) == missed for finding in findings)
    assert not any("of the 90 training sentences" in finding.notes for finding in findings)


def test_fewer_permuted_sentences_are_named(tmp_path):
    store_labels(tmp_path, memorized_sentences=40)
    notes = [finding.notes for finding in text_labels.LABELS.judge(tmp_path)]
    assert all("permuted labels of 40 of the 90 training sentences" in note for note in notes)


def test_the_table_holds_means_of_what_is_defined(tmp_path):
    scores = np.arange(2 * 2 * 2 * 3 * 1, dtype=float).reshape(2, 2, 2, 3, 1)
    scores[0, 1, 1] = [[np.nan], [10.0], [20.0]]
    write_quality_table(tmp_path, "table", ["fc"], scores, "Protocol.")
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == HEADER
    # Scores count up method by method, metric by metric, stage by stage, three images each.
    assert [[row[0], *map(float, row[1:])] for row in rows[1:]] == [
        ["Original", 1.0, 13.0, 7.0, 19.0],
        ["fc", 4.0, 16.0, 15.0, 22.0],
    ]
    words = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| fc | 4 | 16 | 15 | 22 |" in words
    assert words.endswith("Protocol. 1 undefined scores are left out.\n")


def test_the_cascade(tiny):
    calls = []
    config = ReproductionConfig("kokhlikyan2021")
    text_cascade.compute(Context(config, lambda *facts: calls.append(facts)), tiny)
    facts = read_facts(tiny)
    assert facts["stages"] == ["classifier", "pooler", "encoder.layer.1", "encoder.layer.0", "embeddings"]
    assert facts["setting"]["stand_ins"] == ["a small encoder on made sentences instead of BERT on SST-2"]
    assert len(facts["sentences"]) == 3
    assert calls[-1][1] == 3000
    names = {"", "cosine", "cosine-mean", "cosine-abs", "euclidean", "spearman", "infidelity", "max-sensitivity"}
    assert_drawn(text_cascade.CASCADE, tiny, names)
    assert len(text_cascade.CASCADE.judge(tiny)) == 12
    with np.load(tiny / "arrays.npz") as stored:
        assert stored["scores"].shape == (2, 3, 5, 3, 2)
        assert stored["quality"].shape == (2, 2, 6, 3, 2)
        assert stored["shown"].shape == (2, 6, 6)  # [CLS] the film is good [SEP]
        assert stored["directions"][:, 0].tolist() == [4, 6]  # the markers do not travel
    with (tiny / "table2.csv").open(encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file)] == ["Layer", "Original", *facts["stages"]]
    page = (tiny / "figure10.html").read_text(encoding="utf-8")
    assert page.count(">film</span>") == 2 * 6


def test_the_label_randomization(tiny):
    text_labels.compute(context(), tiny)
    facts = read_facts(tiny)
    assert len(facts["tokens"]) == 2
    assert (facts["memorized_sentences"], facts["training_sentences"]) == (8, 16)
    assert_drawn(text_labels.LABELS, tiny, {"", "cosine", "euclidean", "spearman", "infidelity", "max-sensitivity"})
    findings = text_labels.LABELS.judge(tiny)
    assert len(findings) == 8
    assert {finding.verdict for finding in findings} == {"not comparable"}
    with np.load(tiny / "arrays.npz") as stored:
        assert stored["scores"].shape == (2, 2, 2, 3, 3)  # two trainings
        assert stored["quality"].shape == (2, 2, 2, 2, 3)
        # The yardstick of a training is another one, whose maps are not its own.
        assert (stored["scores"][:, AGAIN, :, METRICS.index("cosine")] < 1 - 1e-6).all()
    assert ">film</span>" in (tiny / "figure12.html").read_text(encoding="utf-8")


def save_bert(folder):
    transformers = pytest.importorskip("transformers", reason="the extra text is not installed")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "plot", "is", "not", "good", "bad"]
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        transformers.BertForSequenceClassification(config).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(words)}
    transformers.BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    return str(folder)


@pytest.mark.extra
def test_a_given_classifier_is_named(tiny, tmp_path):
    text_cascade.compute(context(text_model=save_bert(tmp_path / "tiny-bert")), tiny)
    facts = read_facts(tiny)
    assert facts["stages"][:2] == ["classifier", "bert.pooler"]
    stand_in = "the given classifier tiny-bert on made sentences instead of BERT on SST-2"
    assert facts["setting"]["stand_ins"] == [stand_in]
    assert len(text_cascade.CASCADE.judge(tiny)) == 12


@pytest.mark.extra
def test_the_paper_preset_fine_tunes_bert(tiny, tmp_path, monkeypatch):
    """The code of the paper's preset on a tiny checkpoint in the place of the published one."""
    folder = tmp_path / "data" / "sst2"
    folder.mkdir(parents=True)
    monkeypatch.setattr(text_subject, "BERT", save_bert(tmp_path / "tiny-bert"))
    monkeypatch.setattr(text_permuted, "MEMORIZING", replace(text_permuted.MEMORIZING, epochs=1))
    monkeypatch.setitem(text_cascade.SIZES, "paper", replace(text_cascade.SIZES["quick"], trials=1))
    monkeypatch.setitem(text_labels.SIZES, "paper", replace(text_labels.SIZES["quick"], permuted=0))
    options = {"preset": "paper", "data_dir": str(tmp_path / "data")}
    text_cascade.compute(context(**options), tiny)
    facts = read_facts(tiny)
    assert facts["setting"] == Setting(smaller={"6,920 training sentences": "16"}).to_json()
    assert facts["classifier"].startswith("BERT (test accuracy ")
    assert facts["sentences"][0] == "it is such a fantastic movie"
    text_labels.compute(context(**options), tiny)
    facts = read_facts(tiny)
    assert facts["memorized_sentences"] == facts["training_sentences"] == 16
    assert "instead of" not in text_labels.LABELS.judge(tiny)[1].why
