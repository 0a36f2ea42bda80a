"""SST-2 from a data folder: sentences of film reviews, labeled negative or positive."""

import os
from pathlib import Path

import torch

from probatum.data.sentence_set import SentenceSet
from probatum.errors import InvalidInput, UnknownName

SPLITS = ("train", "dev", "test")
CLASS_NAMES = ("negative", "positive")


def read_sst2(data_dir: str | os.PathLike[str] | None, split: str = "train") -> SentenceSet:
    """Read one split of the binary Stanford Sentiment Treebank.

    Source: Socher et al. (2013), "Recursive deep models for semantic compositionality over a sentiment treebank".

    Args:
        data_dir: the folder that holds `sst2/train.tsv`, `sst2/dev.tsv` and `sst2/test.tsv`, or `sst2` itself.
        split: "train", "dev" or "test".

    Raises:
        UnknownName: an unknown split.
        InvalidInput: no folder or file, or a malformed file (see `read_tsv`).
    """
    if split not in SPLITS:
        raise UnknownName("split of SST-2", split, SPLITS)
    if data_dir is None:
        raise InvalidInput(
            "SST-2 is read from disk: give the data folder that holds sst2/train.tsv and sst2/dev.tsv (--data-dir)"
        )
    folder = Path(data_dir)
    folder = folder / "sst2" if os.path.isdir(folder / "sst2") else folder
    return read_tsv(folder / f"{split}.tsv", f"sst2-{split}")


def read_tsv(path: str | os.PathLike[str], name: str) -> SentenceSet:
    """Read sentences with labels 0 (negative) or 1 (positive) from a file of tab-separated columns.

    A header line with the titles "sentence" and "label", as in the GLUE release, gives the columns; without a header,
    the first column is the sentence and the second the label. Empty lines are skipped.

    Raises:
        InvalidInput: the file is missing or not UTF-8, a column is missing, a sentence is empty, or a label is not 0 or
            1; the message names the line.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        raise InvalidInput(
            f"{path} cannot be read ({getattr(error, 'strerror', error)}); it should hold lines 'sentence<TAB>label'"
        ) from None
    lines = [line.removesuffix(b"\r") for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    sentences: list[str] = []
    labels: list[int] = []
    columns: tuple[int, int] | None = None
    for number, raw in enumerate(lines, 1):
        where = f"{path}, line {number}"
        try:
            fields = raw.decode("utf-8").split("\t")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{where}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
        if not any(field.strip() for field in fields):
            continue
        if columns is None:
            columns = _columns(fields, where)
            if columns is not None:
                continue
            columns = (0, 1)
        if len(fields) <= max(columns):
            raise InvalidInput(f"{where} has {len(fields)} column(s); it needs a sentence, a tab and a label")
        sentence, label = (fields[column].strip() for column in columns)
        if not sentence:
            raise InvalidInput(f"{where}: the sentence is empty")
        if label not in ("0", "1"):
            raise InvalidInput(f"{where}: the label is {label[:20]!r}; it must be 0 (negative) or 1 (positive)")
        sentences.append(sentence)
        labels.append(int(label))
    if not sentences:
        raise InvalidInput(f"{path} holds no sentence; it should hold lines 'sentence<TAB>label'")
    return SentenceSet(name, tuple(sentences), torch.tensor(labels), CLASS_NAMES)


def _columns(fields: list[str], where: str) -> tuple[int, int] | None:
    """Return the columns that a header names, or None if the line is not a header."""
    titles = [field.strip().lower() for field in fields]
    if "sentence" not in titles and "label" not in titles:
        return None
    for title in ("sentence", "label"):
        if title not in titles:
            # A review that is just the word "sentence", with its label, is not a header.
            if len(titles) == 2 and titles[1] in ("0", "1"):
                return None
            raise InvalidInput(f"{where} is a header without a column {title!r}: {', '.join(titles)[:80]}")
    return titles.index("sentence"), titles.index("label")
