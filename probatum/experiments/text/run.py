"""Sentences explained into a folder: what `probatum attribute-text` does."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probatum.attributions import METHODS
from probatum.data import is_text
from probatum.errors import InvalidInput, MissingFile, UnknownName
from probatum.experiments.build import choose_device
from probatum.experiments.limits import check_numbers
from probatum.experiments.options import methods_with_options
from probatum.experiments.text.models import load_text_model
from probatum.experiments.text.scores import (
    BASELINES,
    TextExplanation,
    equal_lengths,
    explain_text,
    share_of,
    text_methods,
)
from probatum.progress import Progress
from probatum.runs.cells import Arrays, Cell, CellStore
from probatum.runs.files import read_table, reading, write_table
from probatum.runs.fingerprint import fingerprint, weights_hash
from probatum.runs.identity import identity_of_software
from probatum.runs.kinds import Computation, Kind, execute
from probatum.runs.plain_values import describe, parse_dataclass
from probatum.runs.remote import Folder
from probatum.runs.resume import RunInWork, Say

USUAL_METHODS = ("gradient", "smoothgrad", "input-x-gradient", "integrated-gradients", "integrated-gradients-local")
_ROOMS = ("attributions", "engine", "models", "experiments/text")
COLUMNS = ("sentence", "position", "token", "method", "score", "class", "target", "confidence", "kept", "delta")


@dataclass(frozen=True)
class TextConfig:
    """Configuration of a text attribution.

    Args:
        sentences: plain text.
        model: "sentences" or "sst2" for a small encoder trained on the spot, or a folder or hub name of a Hugging Face
            classifier.
        data_dir: the folder that holds `sst2/`.
        methods: names of attribution methods.
        target: the class to explain; None is the predicted one.
        samples: noise samples of every method that has them; None keeps the papers' numbers.
        steps: path steps of every method that has them; None keeps the papers' numbers.
        baseline: "pad" or "zero".
        seed: of everything random.
        device: "auto", or a torch device.
        precision: "float32" or "float64".
        memory_budget: for activations, such as "2 GiB"; None is the device's default.
    """

    sentences: tuple[str, ...]
    model: str = "sentences"
    data_dir: str | None = None
    methods: tuple[str, ...] = USUAL_METHODS
    target: int | None = None
    samples: int | None = None
    steps: int | None = None
    baseline: str = "pad"
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    memory_budget: str | None = None

    def __post_init__(self) -> None:
        if not self.sentences or not self.methods:
            raise InvalidInput("give at least one sentence and one method")
        for number, sentence in enumerate(self.sentences, 1):
            if not is_text(sentence):
                raise InvalidInput(f"sentence {number}, {sentence!r}, is no text; give it as UTF-8")
        tables = (("method", self.methods, METHODS), ("baseline of text", (self.baseline,), BASELINES))
        for kind, names, table in tables:
            for name in names:
                if name not in table:
                    raise UnknownName(kind, name, table)
        check_numbers(self, "samples", "steps")
        methods_with_options(self.methods, {"samples": self.samples, "steps": self.steps})

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TextConfig":
        """Reads what `to_json` wrote; InvalidInput where a value is missing or of another kind."""
        return parse_dataclass(cls, values, "text attribution")


def read_sentences(path: Path) -> tuple[str, ...]:
    """The lines of a UTF-8 file that are not empty.

    Raises:
        InvalidInput: no such file, another encoding, or no line.
    """
    if not os.path.exists(path):
        raise MissingFile("file of sentences", path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}); it should hold one sentence a line") from None
    sentences = []
    for number, line in enumerate(lines, 1):
        try:
            sentences.append(line.decode("utf-8-sig" if number == 1 else "utf-8").strip())
        except UnicodeDecodeError:
            raise InvalidInput(f"{path}, line {number} is not UTF-8; save the file as UTF-8") from None
    found = tuple(filter(None, sentences))
    if not found:
        raise InvalidInput(f"{path} holds no sentence; it should hold one a line")
    return found


def explain_sentences(
    config: TextConfig,
    folder: Folder,
    progress: Progress | None = None,
    *,
    draw: Callable[[Path], object] | None = None,
    say: Say | None = None,
) -> list[TextExplanation]:
    """Explains the sentences of a configuration, or what is left of them, into `config.json` and `tokens.csv`.

    Args:
        config: what to do.
        folder: none, an empty one, or that of an unfinished run of the same configuration.
        progress: called with (done, in all, what is being done).
        draw: called with the folder, before the run counts as finished.
        say: called with sentences about a run that continues.

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    device = choose_device(config.device)
    return execute(TEXT_ATTRIBUTION, config, folder, device, progress=progress, draw=draw, say=say)


class TextRun(Computation[list[TextExplanation]]):
    """Sentences and a model that are loaded; a cell is a group of sentences of equal length.

    Args:
        config: what to explain and how.
        run: its folder.
    """

    def __init__(self, config: TextConfig, run: RunInWork) -> None:
        self._config, self._run = config, run
        self._model, self._training = load_text_model(
            config.model, config.data_dir, seed=config.seed, device=run.device, progress=run.progress
        )
        self._methods = text_methods(
            self._model, config.methods, baseline=config.baseline, steps=config.steps, samples=config.samples
        )
        self._groups = equal_lengths(self._model.encode(config.sentences))
        self.cells = len(self._groups)

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration, model, tokens, methods and software."""
        encoded = self._model.encode(self._config.sentences)
        return {
            "config": self._config.to_json(),
            "weights": weights_hash(self._model.network),
            "tokens": fingerprint([each.ids for each in encoded]),
            "methods": fingerprint(self._methods),
            **identity_of_software(self._run.device, _ROOMS),
        }

    def compute(self, store: CellStore) -> None:
        """Explains the groups that are not stored."""
        missing = [number for number in range(self.cells) if store.load(_cell(number)) is None]
        if len(missing) < self.cells and self._run.say is not None:
            self._run.say(f"continuing: {self.cells - len(missing)} of {self.cells} groups of sentences are there")
        for number in missing:
            store.save(_cell(number), self._explained(number))

    def _explained(self, number: int) -> Arrays:
        """The scores (method, sentence, token) of a group, and what else is known of it."""
        rows, config = self._groups[number], self._config
        before = sum(map(len, self._groups[:number]))
        found = explain_text(
            self._model,
            [config.sentences[row] for row in rows],
            self._methods,
            config.target,
            seed=config.seed,
            precision=config.precision,
            memory_budget=self._run.memory_budget or config.memory_budget,
            progress=share_of(self._run.progress, before, len(rows), len(config.sentences), "explaining"),
        )
        names = list(self._methods)
        return {
            "scores": np.array([[each.scores[name] for each in found] for name in names]),
            "kept": np.array([[each.kept[name] for each in found] for name in names]),
            "delta": np.array([[each.delta.get(name, np.nan) for each in found] for name in names]),
            "targets": np.array([each.target for each in found]),
            "confidences": np.array([each.confidence for each in found]),
        }

    def result(self, store: CellStore) -> list[TextExplanation]:
        """The explanations in the order of the sentences."""
        encoded = self._model.encode(self._config.sentences)
        found: dict[int, TextExplanation] = {}
        for number, rows in enumerate(self._groups):
            arrays = store.require(_cell(number))
            for place, row in enumerate(rows):
                by_name = {name: values[:, place] for name, values in arrays.items() if values.ndim > 1}
                target, numbered = int(arrays["targets"][place]), list(enumerate(self._methods))
                found[row] = TextExplanation(
                    sentence=self._config.sentences[row],
                    tokens=encoded[row].tokens,
                    target=target,
                    class_name=self._model.class_names[target],
                    confidence=float(arrays["confidences"][place]),
                    scores={name: by_name["scores"][m] for m, name in numbered},
                    kept={name: float(by_name["kept"][m]) for m, name in numbered},
                    delta={
                        name: float(by_name["delta"][m]) for m, name in numbered if not np.isnan(by_name["delta"][m])
                    },
                )
        return [found[row] for row in range(len(encoded))]

    def write(self, result: list[TextExplanation]) -> dict[str, Any]:
        """Writes the table of tokens."""
        write_sentence_scores(self._run.folder, result)
        methods = self._methods.items()
        return {
            "model": {
                "title": self._model.title,
                "weights_sha256": weights_hash(self._model.network),
                "accuracy": self._training.best_accuracy if self._training else None,
                "class_names": list(self._model.class_names),
            },
            "methods": {name: {"title": METHODS[name].title} | describe(method) for name, method in methods},
        }


def _cell(number: int) -> Cell:
    return Cell(number, number + 1)


def write_sentence_scores(folder: Path, found: Sequence[TextExplanation]) -> None:
    """Writes the scores into `tokens.csv`."""
    write_table(folder / "tokens.csv", COLUMNS, _rows(found))


def read_sentence_scores(folder: Path) -> list[TextExplanation]:
    """Reads what `explain_sentences` wrote; InvalidInput where the folder holds no complete scores."""
    with reading(folder, "scores of probatum attribute-text"):
        config = TEXT_ATTRIBUTION.request(folder)
        rows = read_table(folder / "tokens.csv", COLUMNS)
        return [_read(sentence, number, rows, config) for number, sentence in enumerate(config.sentences)]


def _read(sentence: str, number: int, rows: Sequence[Mapping[str, str]], config: TextConfig) -> TextExplanation:
    own = [row for row in rows if row["sentence"] == str(number)]
    by_method = {name: [row for row in own if row["method"] == name] for name in config.methods}
    first = own[0]
    kind = np.float64 if config.precision == "float64" else np.float32
    return TextExplanation(
        sentence=sentence,
        tokens=tuple(row["token"] for row in by_method[config.methods[0]]),
        target=int(first["target"]),
        class_name=first["class"],
        confidence=float(first["confidence"]),
        scores={name: np.array([float(row["score"]) for row in each], dtype=kind) for name, each in by_method.items()},
        kept={name: float(each[0]["kept"]) for name, each in by_method.items()},
        delta={name: float(each[0]["delta"]) for name, each in by_method.items() if each[0]["delta"]},
    )


def _rows(found: Sequence[TextExplanation]) -> list[tuple[object, ...]]:
    """One row a sentence, method and token; sentences and positions count from 0, [CLS] included."""
    rows: list[tuple[object, ...]] = []
    for number, each in enumerate(found):
        for method, scores in each.scores.items():
            facts = (each.class_name, each.target, each.confidence, each.kept[method], each.delta.get(method, ""))
            for position, (token, score) in enumerate(zip(each.tokens, scores.tolist(), strict=True)):
                rows.append((number, position, token, method, score, *facts))
    return rows


TEXT_ATTRIBUTION = Kind(
    "text attribution",
    read=lambda values: TextConfig.from_json(values["config"]),
    values=lambda config: {"config": config.to_json()},
    prepare=TextRun,
    load=read_sentence_scores,
)
"""Scores of the tokens of sentences, as runs know them; rooms above draw and show them."""
