"""What the package says of each class of methods, behind the text of its page.

The pages themselves are written by hand, `docs/methods/*.md`: intuition, equation, use.
"""

import inspect
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import method_facts
from markup import file_of, first_line, linked, table

from probatum.attributions import METHODS, MethodEntry
from probatum.attributions.literal import literal

FIGURES = Path(__file__).parents[1] / "figures" / "methods"


def grouped() -> dict[type, dict[str, MethodEntry]]:
    """The entries of the table by class, in the table's order."""
    groups: dict[type, dict[str, MethodEntry]] = {}
    for name, entry in METHODS.items():
        groups.setdefault(type(entry.make()), {})[name] = entry
    return groups


def page_of(method: type) -> str:
    """Where the page of a class lies."""
    return f"methods/{_file(method)}"


def pages() -> dict[str, str]:
    """Path and text of the overview."""
    return {"methods/index.md": _overview()}


def written() -> list[str]:
    """Paths of the pages, in the order of the table."""
    return [page_of(method) for method in grouped()]


def fill(path: str, text: str) -> str:
    """The text of a page with the facts behind it; the text itself where the page is none of a method."""
    method = {page_of(each): each for each in grouped()}.get(path)
    if method is None:
        return text
    facts = json.loads((FIGURES / "facts.json").read_text(encoding="utf-8"))
    return "\n\n".join((text.rstrip(), *_facts(method, grouped()[method], facts)))


def _overview() -> str:
    rows = [
        (
            f"`{name}`",
            f"[{entry.title}]({_file(method)})",
            linked(entry.source),
            _kind(method, entry),
        )
        for method, entries in grouped().items()
        for name, entry in entries.items()
    ]
    classes = [(f"[`{method.__name__}`]({_file(method)})", first_line(inspect.getdoc(method))) for method in grouped()]
    return "\n\n".join(
        (
            "# Methods",
            "A method is a frozen set of hyperparameters, called as `method(model, images, targets)`; "
            "[`attribute`][probatum.attributions.base.attribute] computes several at once and shares their model "
            "calls. One file each:",
            table(("class", "what it computes"), classes),
            "By the names that the command line takes, with the papers' defaults:",
            table(("name", "title", "source", ""), rows),
            "Averages over noise compose: `SmoothGrad(GuidedBackprop(), samples=25)`. "
            "[Add a method of your own](../add-a-method.md) in one file.",
        )
    )


def _file(method: type) -> str:
    return f"{method.__module__.rpartition('.')[2].replace('_', '-')}.md"


def _kind(method: type, entry: MethodEntry) -> str:
    return "control" if entry.control else "seeded" if getattr(method, "stochastic", False) else ""


def _facts(method: type, entries: dict[str, MethodEntry], facts: dict[str, dict[str, object]]) -> list[str]:
    path = f"{method.__module__}.{method.__qualname__}"
    parts = [
        *_measured(entries),
        "## Reference",
        f"Source: {file_of(method.__module__)}",
        f"::: {path}\n    options:\n      members: false\n      heading_level: 3",
        *_code(method),
        "## In the table of methods",
    ]
    for name, entry in entries.items():
        parts += [
            f"### {name}",
            f"{entry.title}. Source: {linked(entry.source)}.",
            f"```python\n{_expression(entry.make())}\n```",
            _figure(name, entry, facts),
        ]
    return parts


def _measured(entries: dict[str, MethodEntry]) -> list[str]:
    """The verdicts of the study, and what the method costs."""
    verdicts = [row for name in entries for row in method_facts.verdicts(name)]
    costs = [row for entry in entries.values() for row in method_facts.costs(entry.title)]
    name, control = next(iter(entries)), any(entry.control for entry in entries.values())
    judge_it = (
        "It must not: a control never uses the model, so that its verdict is *insensitive* in every check."
        if control
        else f"The study holds no verdict on it yet: `probatum check --methods {name}` judges it."
    )
    parts = [
        "## Does it pass?",
        "The words of [the study of verdicts](../verdicts.md#how-far-verdicts-can-be-trusted), with the "
        "[share](../concepts.md#share-retained) that random weights leave of the map under each metric:"
        if verdicts
        else judge_it,
    ]
    if verdicts:
        columns = list(dict.fromkeys(column for row in verdicts for column in row))
        parts.append(table(columns, [[row.get(column, "–") for column in columns] for row in verdicts]))
    if costs:
        parts += [
            "## What it costs",
            table(("maps of", "time, in units of the bare model's passes", "time of Captum, in the same units"), costs),
            f"From the record `{method_facts.methods_record()}`; the bare model makes the same number of forward "
            "passes and input gradients and nothing else. [Benchmarks](../benchmarks.md) has the protocol.",
        ]
    return parts


def _code(method: type) -> list[str]:
    """The method as the engine computes it, and as its paper writes it."""
    form = literal.dispatch(method)
    own = [getattr(method, name) for name in ("request", "value") if hasattr(method, name)]
    fast = [textwrap.dedent(inspect.getsource(function)) for function in own]
    return [
        "## How it is computed",
        "What it asks the [engine](../engine.md) for, and its formula for the points of a chunk:",
        "```python\n" + "\n".join(fast).rstrip() + "\n```",
        "## Literally",
        "As the paper writes it, one image, one sample and one step at a time; the tests hold the method to it in "
        f"float64. `{form.__module__}.{form.__name__}`:",
        "```python\n" + "\n\n".join(inspect.getsource(each).rstrip() for each in (*_helpers(form), form)) + "\n```",
    ]


def _helpers(function: Callable[..., object]) -> list[Callable[..., object]]:
    """What a function of a module uses of the module's own: its backward rules, its steps."""
    own = vars(inspect.getmodule(function))
    named = dict.fromkeys(re.findall(r"\b_[A-Z_a-z]\w+", inspect.getsource(function)))
    skipped = ("_Replacing", function.__name__)
    found = [own[name] for name in named if callable(own.get(name)) and name not in skipped]
    return [helper for each in found for helper in (*_helpers(each), each)]


def _expression(value: object) -> str:
    """The call that makes a method, without what is the default anyway."""
    if not is_dataclass(value):
        return repr(value)
    usual = {
        field.name: field.default_factory() if field.default_factory is not MISSING else field.default
        for field in fields(value)
    }
    given = {name: getattr(value, name) for name in usual}
    words = [f"{name}={_expression(each)}" for name, each in given.items() if each != usual[name]]
    return f"{type(value).__name__}({', '.join(words)})"


def _figure(name: str, entry: MethodEntry, facts: dict[str, dict[str, object]]) -> str:
    if name not in facts or not (FIGURES / f"{name}.png").exists():
        return f"No picture was drawn yet: `python docs/make_figures.py --methods {name}` draws it."
    fact = facts[name]
    credit = " (CC0, Stéfan van der Walt, from scikit-image)" if fact["image"] == "chelsea.png" else ""
    alt = f"{entry.title} of an image by a trained network and by the same network as its layers become random"
    return "\n\n".join(
        (
            f"![{alt}](../figures/methods/{name}.png)",
            f"*{fact['image']}{credit}, explained as {fact['class']} (probability {fact['probability']}) by "
            f"{fact['model']}: the map of the trained network, then of the network with layers re-drawn from the "
            f"output down (seed {fact['seed']}, weights {str(fact['weights_sha256'])[:12]}…). Magnitudes, summed over "
            "channels and clipped at the 99th percentile; each map has its own scale.*",
        )
    )
