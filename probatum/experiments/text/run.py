"""Sentences explained into a folder: what `probatum attribute-text` does."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from probatum.attributions import METHODS
from probatum.data import is_text
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import choose_device
from probatum.experiments.limits import check_numbers
from probatum.experiments.options import methods_with_options
from probatum.experiments.text.models import load_text_model
from probatum.experiments.text.scores import BASELINES, TextExplanation, explain_text, text_methods
from probatum.progress import Progress
from probatum.runs.files import write_json, write_table
from probatum.runs.fingerprint import weights_hash
from probatum.runs.plain_values import describe

USUAL_METHODS = ("gradient", "smoothgrad", "input-x-gradient", "integrated-gradients", "integrated-gradients-local")
COLUMNS = ("sentence", "position", "token", "method", "score", "class", "target", "confidence", "kept", "delta")


@dataclass(frozen=True)
class TextConfig:
    """What is explained and how.

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


def read_sentences(path: Path) -> tuple[str, ...]:
    """The lines of a UTF-8 file that are not empty.

    Raises:
        InvalidInput: no such file, another encoding, or no line.
    """
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


def explain_sentences(config: TextConfig, folder: Path, progress: Progress | None = None) -> list[TextExplanation]:
    """Explains the sentences of a configuration and writes `config.json` and `tokens.csv` into a folder.

    Args:
        config: what to do.
        folder: an existing, empty folder.
        progress: called with (done, in all, what is being done).

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    model, training = load_text_model(
        config.model, config.data_dir, seed=config.seed, device=choose_device(config.device), progress=progress
    )
    methods = text_methods(model, config.methods, baseline=config.baseline, steps=config.steps, samples=config.samples)
    found = explain_text(
        model,
        config.sentences,
        methods,
        config.target,
        seed=config.seed,
        precision=config.precision,
        memory_budget=config.memory_budget,
        progress=progress,
    )
    write_json(
        folder / "config.json",
        {
            "config": asdict(config),
            "model": {
                "title": model.title,
                "weights_sha256": weights_hash(model.network),
                "accuracy": training.best_accuracy if training else None,
                "class_names": list(model.class_names),
            },
            "methods": {name: {"title": METHODS[name].title} | describe(method) for name, method in methods.items()},
        },
    )
    write_table(folder / "tokens.csv", COLUMNS, _rows(found))
    return found


def _rows(found: Sequence[TextExplanation]) -> list[tuple[object, ...]]:
    """One row a sentence, method and token; sentences and positions count from 0, [CLS] included."""
    rows: list[tuple[object, ...]] = []
    for number, each in enumerate(found):
        for method, scores in each.scores.items():
            facts = (each.class_name, each.target, each.confidence, each.kept[method], each.delta.get(method, ""))
            for position, (token, score) in enumerate(zip(each.tokens, scores.tolist(), strict=True)):
                rows.append((number, position, token, method, score, *facts))
    return rows
