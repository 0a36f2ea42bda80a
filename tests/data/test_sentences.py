"""The package's own sentences, and SST-2 from disk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.data.sentence_set import SentenceSet
from probatum.data.sentences import INTENSIFIERS, NEGATIONS, NEGATIVE, POSITIVE, make_sentences
from probatum.data.sst2 import read_sst2, read_tsv
from probatum.errors import InvalidInput, UnknownName


def test_the_decisive_words_decide():
    made = make_sentences(600)
    negations = {word for negation in NEGATIONS for word in negation.split()}
    for sentence, label, positions in zip(made.sentences, made.labels.tolist(), made.decisive, strict=True):
        words = sentence.split()
        *before, adjective = (words[position] for position in positions)
        assert adjective in POSITIVE + NEGATIVE
        assert set(before) <= negations
        assert label == (adjective in POSITIVE) ^ bool(before)
        # The opinion that counts is the last one, and nothing else in it can turn it round.
        last = len(words) - 1 - words[::-1].index("but") if "but" in words else -1
        assert min(positions) > last
        others = [word for place, word in enumerate(words) if place > last and place not in positions]
        assert not negations & set(others)
        assert not set(POSITIVE + NEGATIVE) & set(others)


def test_the_same_sentences_however_many_are_asked_for():
    few, many = make_sentences(7, seed=3), make_sentences(40, seed=3)
    assert few.sentences == many.sentences[:7]
    assert few.decisive == many.decisive[:7]
    assert many.labels.tolist() == [0, 1] * 20
    assert make_sentences(40, seed=4).sentences != many.sentences
    assert make_sentences(40, "test", seed=3).sentences != many.sentences


def test_the_words_of_one_kind_are_of_no_other():
    kinds = [set(POSITIVE), set(NEGATIVE), set(INTENSIFIERS), {w for n in NEGATIONS for w in n.split()}, {"but", "the"}]
    assert sum(map(len, kinds)) == len(set().union(*kinds))
    lengths = [len(sentence.split()) for sentence in make_sentences(2000).sentences]
    assert min(lengths) >= 4
    assert max(lengths) <= 27


@pytest.mark.parametrize("arguments", [{"count": 0}, {"seed": -1}, {"split": "dev"}])
def test_what_cannot_be_made_is_refused(arguments):
    with pytest.raises(UnknownName if "split" in arguments else InvalidInput):
        make_sentences(**arguments)


def test_a_set_refuses_parts_that_do_not_fit():
    good = SentenceSet("s", ("a b", "c"), torch.tensor([0, 1]), ("n", "p"), ((0, 1), ()))
    assert good.subset([1]).sentences == ("c",)
    assert good.subset([1]).decisive == ((),)
    assert len(good) == 2
    for sentences, labels, decisive in [
        (("a",), [0, 1], None),
        (("a", " \t"), [0, 1], None),
        (("a", "b"), [0, 2], None),
        (("a", "b"), [0, -1], None),
        (("a", "b"), [0, 1], ((0,),)),
        (("a", "b"), [0, 1], ((0,), (1,))),
    ]:
        with pytest.raises(InvalidInput):
            SentenceSet("s", sentences, torch.tensor(labels), ("n", "p"), decisive)
    with pytest.raises(InvalidInput, match="out of range"):
        good.subset([2])


def test_files_with_and_without_a_header(tmp_path):
    (tmp_path / "sst2").mkdir()
    plain = "fine\t1\r\n\r\nthe label\t0\nsentence\t1\n"
    (tmp_path / "sst2" / "dev.tsv").write_bytes(plain.encode())
    read = read_sst2(tmp_path, "dev")
    assert read.sentences == ("fine", "the label", "sentence")
    assert read.labels.tolist() == [1, 0, 1]
    assert read.class_names == ("negative", "positive")
    assert read_sst2(tmp_path / "sst2", "dev").sentences == read.sentences
    path = tmp_path / "glue.tsv"
    path.write_bytes(b"\xef\xbb\xbfindex\tLabel\tSentence\n7\t1\tfine\n")
    assert read_tsv(path, "glue").sentences == ("fine",)
    path.write_bytes(b"sentence\t1\n")
    assert read_tsv(path, "one word").sentences == ("sentence",)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\u2028\u2029")),
            st.integers(0, 1),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_is_read(tmp_path_factory, rows):
    rows = [(f"x {sentence.strip()}".strip(), label) for sentence, label in rows]
    path = tmp_path_factory.mktemp("tsv") / "set.tsv"
    path.write_text("".join(f"{sentence}\t{label}\n" for sentence, label in rows), encoding="utf-8", newline="")
    read = read_tsv(path, "set")
    assert read.sentences == tuple(sentence for sentence, _ in rows)
    assert read.labels.tolist() == [label for _, label in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fine\t1\nno label\n", r"line 2 has 1 column"),
        (b"fine\t1\n\xff\xfe bad\t0\n", r"line 2: byte 0 is not UTF-8"),
        (b"fine\t1\n \t0\n", r"line 2: the sentence is empty"),
        (b"fine\t2\n", r"line 1: the label is '2'"),
        (b"fine\tpositive\n", r"line 1: the label is 'positive'"),
        (b"index\tsentence\n0\tfine\n", r"without a column 'label'"),
        (b"text\tlabel\nfine\t1\n", r"without a column 'sentence'"),
        (b"", r"holds no sentence"),
        (b"sentence\tlabel\n", r"holds no sentence"),
        (b"\x80\x04\x95pickled", r"line 1: byte 0 is not UTF-8"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, content, message):
    path = tmp_path / "train.tsv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        read_tsv(path, "set")
    assert str(path) in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"train\.tsv cannot be read"):
        read_sst2(tmp_path)
    with pytest.raises(InvalidInput, match="give the data folder"):
        read_sst2(None)
    with pytest.raises(UnknownName, match="no split of SST-2"):
        read_sst2(tmp_path, "valid")


def test_sst2_is_read_whole(data_root):
    if not (data_root / "sst2").is_dir():
        pytest.skip("no sst2/ in PROBATUM_DATA")
    sizes = {split: read_sst2(data_root, split).labels.bincount().tolist() for split in ("train", "dev", "test")}
    assert sizes == {"train": [3310, 3610], "dev": [428, 444], "test": [912, 909]}
