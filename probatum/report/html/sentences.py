"""The page of explained sentences, what `probatum attribute-text` leaves."""

import math
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from probatum.attributions import METHODS, title_of
from probatum.experiments.tables import count
from probatum.experiments.text.run import TextConfig, read_sentence_scores
from probatum.experiments.text.scores import TextExplanation
from probatum.report.html.page import render
from probatum.report.html.words import settings
from probatum.report.sentences import doubts

_LEVELS = 10  # shades of each color, as in the style sheet


@dataclass(frozen=True)
class Token:
    """A token as the page shows it.

    Args:
        text: any text.
        score: in digits.
        shade: classes of its color, the sign and the level of strength; "" for none.
    """

    text: str
    score: str
    shade: str


def sentences_page(folder: Path, run: dict[str, Any]) -> str:
    """The page of a folder of `probatum attribute-text`, whose `config.json` was read."""
    found, config = read_sentence_scores(folder), TextConfig.from_json(run["config"])
    model = run["model"]
    accuracy = [] if model["accuracy"] is None else [("Test accuracy", f"{model['accuracy']:.2%}")]
    return render(
        "sentences.html.j2",
        title=f"Words that speak for a class: {model['title']}",
        story=(
            f"{count(len(found), 'sentence')}, explained by {count(len(config.methods), 'method')}. Green words speak "
            "for the class that is named beside the sentence; red, underlined words speak against it. The strongest "
            "word of each line has the full color."
        ),
        warnings=[],
        sentences=[_sentence(each) for each in found],
        methods=[
            {"title": title_of(name), "settings": settings(facts), "source": METHODS[name].source}
            for name, facts in run["methods"].items()
            if name in METHODS
        ],
        facts=[
            ("Model", model["title"]),
            ("Classes", ", ".join(map(str, model["class_names"]))),
            *accuracy,
            ("Hash of the weights", f"SHA-256 {model['weights_sha256']}"),
            ("Baseline", config.baseline),
            ("Seed", str(config.seed)),
            ("Precision", config.precision),
        ],
        commands=[
            ("In the folder of this page:", "probatum rerun . --out ../again"),
            ("Or from anywhere:", _command(config)),
        ],
        data=None,
    )


def _sentence(each: TextExplanation) -> dict[str, Any]:
    """A sentence with its class, and a line of tokens for each method."""
    lines = [
        {"method": title_of(method), "tokens": _tokens(each.tokens, scores), "doubts": doubts(each, method)}
        for method, scores in each.scores.items()
    ]
    return {"text": each.sentence, "class": each.class_name, "confidence": each.confidence, "lines": lines}


def _tokens(texts: tuple[str, ...], scores: np.ndarray) -> list[Token]:
    strongest = float(np.abs(scores).max(initial=0.0)) or 1.0
    return [
        Token(text, f"{score:+.3g}".replace("-", "−"), _shade(score / strongest))
        for text, score in zip(texts, scores.tolist(), strict=True)
    ]


def _shade(strength: float) -> str:
    """The classes of a strength in [−1, 1]; any strength but 0 has a color."""
    level = math.ceil(abs(strength) * _LEVELS)
    return f"{'for' if strength > 0 else 'against'} s{level}" if level else ""


def _command(config: TextConfig) -> str:
    """The command line of the run, quoted for a POSIX shell."""
    words = ["probatum", "attribute-text", *config.sentences]
    for field in fields(TextConfig)[1:]:
        value = getattr(config, field.name)
        if value != field.default:
            shown = ",".join(value) if isinstance(value, tuple) else str(value)
            words += [f"--{field.name.replace('_', '-')}", shown]
    return shlex.join(words)
