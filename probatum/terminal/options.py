"""The options that commands share, as groups, and the completion of their values."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints, no_type_check

import typer

from probatum.errors import InvalidInput
from probatum.terminal.catalog import Kind, choices, defaults, names
from probatum.terminal.completion import listed, offered, one_of, some_of
from probatum.terminal.config_file import use_config_file

T = TypeVar("T")


def split(text: str) -> tuple[str, ...]:
    """The names in a list that is separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def chosen_methods(options: "MethodOptions") -> dict[str, object]:
    """The methods as settings: those that are named, or the usual ones that the model can have."""
    if options.methods is None:
        return {"methods": tuple(defaults("methods")), "on_refused": "skip"}
    return {"methods": split(options.methods)}


def numbers(text: str) -> tuple[float, ...]:
    """The numbers in a list that is separated by commas."""
    try:
        return tuple(float(number) for number in split(text))
    except ValueError:
        raise InvalidInput(f"{text!r} is no list of numbers such as 0.485,0.456,0.406") from None


def whole_numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in a list that is separated by commas."""
    try:
        return tuple(int(number) for number in split(text))
    except ValueError:
        raise InvalidInput(f"{text!r} is no list of whole numbers such as 1,8,32") from None


def _in_words(option: str) -> str:
    return ", ".join(choices(option))


_DEFAULT_METHODS = ",".join(defaults("methods"))

DataDir = Annotated[str | None, typer.Option(help="Folder that holds MNIST/raw or FashionMNIST/raw.")]
Data = Annotated[
    str,
    typer.Option(
        help="Data set (digits, mnist, fashion-mnist), folder, image or .txt list.",
        autocompletion=one_of(listed(Kind.data)),
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        help="basic_cnn, mlp, any torchvision classifier, timm:NAME, hf:NAME_OR_FOLDER, "
        "or package.module:name or ./file.py:name for one's own: this runs its code.",
        autocompletion=one_of(listed(Kind.models)),
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="'train' (small networks), 'default' (published, or made by one's own code), 'none' (random), "
        "or a checkpoint, whose last layer gives the number of classes.",
        autocompletion=one_of(lambda: ("train", "default", "none")),
    ),
]
Methods = Annotated[
    str,
    typer.Option(
        help="Methods by name (`probatum list methods`) or of your own (module:name, ./file.py:name), by commas.",
        autocompletion=some_of(listed(Kind.methods)),
    ),
]
UsualMethods = Annotated[
    str | None,
    typer.Option(
        help=f"Methods by name, separated by commas; else those of {_DEFAULT_METHODS} that the model can have.",
        autocompletion=some_of(listed(Kind.methods)),
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        help="'quick'; 'cpu', real data in sizes for two cores; or 'paper', the paper's own sizes, models and data.",
        autocompletion=one_of(lambda: ("quick", "cpu", "paper")),
    ),
]
Samples = Annotated[
    int | None, typer.Option(help="Noise samples of SmoothGrad and the SHAP methods; else the papers' numbers.")
]
Steps = Annotated[int | None, typer.Option(help="Steps of Integrated Gradients; else the papers' number.")]
Target = Annotated[int | None, typer.Option(help="Class index to explain; else the predicted class.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1, ...", autocompletion=one_of(lambda: ("auto", "cpu", "cuda")))
]
Precision = Annotated[
    str,
    typer.Option(help="float32, tf32 (CUDA), bfloat16 or float64.", autocompletion=one_of(offered("precision"))),
]
MemoryBudget = Annotated[str | None, typer.Option(help="Memory for activations, such as '2 GiB'.")]
OnError = Annotated[
    str,
    typer.Option(
        help="Of a photograph that cannot be read: stop, or skip it. attribute: of an explainer that fails, too.",
        autocompletion=one_of(offered("on-error")),
    ),
]
LeastConfidence = Annotated[
    float | None,
    typer.Option(help="Of --preset localization: least probability of the predicted class of a used image; else 0.5."),
]
Out = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER", help="Folder to make or to continue, or an address (s3://bucket/run); else one below runs/."
    ),
]
StoredRun = Annotated[str, typer.Argument(help="A run folder, or its address in object storage.")]
NewRun = Annotated[
    str, typer.Option("--out", metavar="FOLDER", help="Folder to make or to continue, or an address (s3://bucket/run).")
]


@dataclass(frozen=True)
class NetworkOptions:
    """The model to examine."""

    model: ModelName = None
    weights: Weights = None
    classes: Annotated[
        str | None, typer.Option(help="Names of the model's classes: a file with one a line, or a folder per class.")
    ] = None
    input_size: Annotated[
        int | None, typer.Option(help="Height and width of the images in pixels; else the model's own.")
    ] = None
    mean: Annotated[str | None, typer.Option(help="Per channel, such as 0.485,0.456,0.406; else the model's own.")] = (
        None
    )
    std: Annotated[str | None, typer.Option(help="Likewise.")] = None
    interpolation: Annotated[
        str | None,
        typer.Option(
            help=f"Of the resizing: {_in_words('interpolation')}; else the model's own.",
            autocompletion=one_of(offered("interpolation")),
        ),
    ] = None
    train_images: Annotated[int, typer.Option(help="How many training images 'train' uses.")] = 10_000


@dataclass(frozen=True)
class MethodOptions:
    """Attribution methods and their hyperparameters."""

    methods: UsualMethods = None
    layer: Annotated[
        str | None,
        typer.Option(help="Grad-CAM's layer by dotted path; else the last feature map on every path to the logits."),
    ] = None
    layout: Annotated[
        str | None,
        typer.Option(help="Axes of that layer: nchw, nhwc, or tokens:1:14x14 (1 class token, a grid); else found."),
    ] = None
    samples: Samples = None
    steps: Steps = None
    tolerance: Annotated[
        float | None,
        typer.Option(help="Completeness error that Integrated Gradients adds points for, such as 0.05, up to --steps."),
    ] = None
    ceiling: Annotated[
        float | None,
        typer.Option(help="Agreement that SmoothGrad adds samples for, such as 0.95, up to --samples."),
    ] = None
    baseline: Annotated[
        str | None,
        typer.Option(
            help=f"Baseline of Integrated Gradients, DeepLIFT and SHAP: {_in_words('baseline')}; else zero.",
            autocompletion=one_of(offered("baseline")),
        ),
    ] = None
    composite: Annotated[
        str | None,
        typer.Option(
            help=f"Rules of LRP: {_in_words('composite')}; else epsilon-plus-flat.",
            autocompletion=one_of(offered("composite")),
        ),
    ] = None


@dataclass(frozen=True)
class ProtocolOptions:
    """The randomization, and the metrics that compare maps."""

    metrics: Annotated[
        str | None,
        typer.Option(
            help=f"Metrics by name, separated by commas; else the preset's, or {','.join(defaults('metrics'))}.",
            autocompletion=some_of(listed(Kind.metrics)),
        ),
    ] = None
    preset: Annotated[
        str,
        typer.Option(
            help=f"Randomization protocol, or several, separated by commas: {', '.join(names(Kind.presets))}.",
            autocompletion=some_of(listed(Kind.presets)),
        ),
    ] = "adebayo"
    stages: Annotated[
        str | None,
        typer.Option(
            help="Randomize layers or blocks; else the papers' stages, layers, or in deep networks blocks.",
            autocompletion=one_of(offered("stages")),
        ),
    ] = None
    order: Annotated[
        str | None,
        typer.Option(help=f"Instead of the preset's: {_in_words('order')}.", autocompletion=one_of(offered("order"))),
    ] = None
    initializer: Annotated[
        str | None,
        typer.Option(
            help=f"Instead of the preset's: {', '.join(names(Kind.initializers))}.",
            autocompletion=one_of(listed(Kind.initializers)),
        ),
    ] = None
    batch_norm: Annotated[
        str | None,
        typer.Option(
            help=f"Instead of the preset's: {_in_words('batch-norm')}.",
            autocompletion=one_of(offered("batch-norm")),
        ),
    ] = None
    trials: Annotated[int | None, typer.Option(help="Independent randomizations, instead of the preset's.")] = None
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Add images and trials in rounds, and stop when every verdict is decided; at most --images, --trials.",
        ),
    ] = False
    last_relu: Annotated[
        str,
        typer.Option(
            help="Of a model that ends in a ReLU: skip it and explain its input, or keep it.",
            autocompletion=one_of(offered("last-relu")),
        ),
    ] = "skip"
    keep_maps: Annotated[int, typer.Option(help="Of how many images the maps are stored and drawn.")] = 3


@dataclass(frozen=True)
class ComputeOptions:
    """The device, and how to compute on it."""

    device: Device = "auto"
    precision: Precision = "float32"
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Compute with channels last: faster, another order.")
    ] = False
    fold_batch_norm: Annotated[
        bool, typer.Option("--fold-batch-norm", help="Fold batch norm into convolutions: faster.")
    ] = False
    memory_budget: MemoryBudget = None


@dataclass(frozen=True)
class TrainingOptions:
    """The small network to train, and its hyperparameters."""

    model: Annotated[
        str, typer.Option(help="basic_cnn or mlp.", autocompletion=one_of(lambda: ("basic_cnn", "mlp")))
    ] = "basic_cnn"
    preset: Annotated[
        str,
        typer.Option(
            help="'quick', or 'paper': Adam 1e-4, batches of 50, 50 epochs.",
            autocompletion=one_of(lambda: ("quick", "paper")),
        ),
    ] = "quick"
    train_images: Annotated[int | None, typer.Option(help="Of the training split; else all of it.")] = None
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None
    batch_size: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the preset's.")] = None
    target_accuracy: Annotated[float | None, typer.Option(help="Stop once this test accuracy is reached.")] = None


@dataclass(frozen=True)
class ReportOptions:
    """What the command prints."""

    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors alone: neither progress nor a summary.")
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, and nothing else, to standard output.")
    ] = False


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Lets a command take groups of options, each field of a dataclass as an option of its own, and `--config`."""
    hints = inspect.get_annotations(command, eval_str=True)  # get_type_hints of Python 3.10 adds None to the types
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            types = get_type_hints(groups[name], include_extras=True)
            parameters += [_parameter(field, types[field.name]) for field in fields(groups[name])]
        else:
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))
    parameters.append(_config_file(parameters))

    @wraps(command)
    def with_options(config_file: Path | None, **values: Any) -> None:
        made = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **made)

    with_options.__dict__["__signature__"] = inspect.Signature(parameters)
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _config_file(parameters: Iterable[Parameter]) -> Parameter:
    """The option `--config`, which is read before the others and gives their defaults."""
    hints = {parameter.name: get_args(parameter.annotation)[0] for parameter in parameters}

    @no_type_check  # newer versions of typer pass a context of a class that they do not export
    def use(context: typer.Context, path: Path | None) -> Path | None:
        if path is not None and not context.resilient_parsing:
            use_config_file(context, path, hints)
        return path

    annotation = Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML or JSON file with options of this command; the command line is stronger.",
            callback=use,
            is_eager=True,
        ),
    ]
    return Parameter("config_file", Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _parameter(field: "Field[Any]", annotation: Any) -> Parameter:
    default = Parameter.empty if field.default is MISSING else field.default
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def configured(kind: Callable[..., T], *groups: Any, **values: Any) -> T:
    """Makes a configuration of the options in groups; `values` adds others, or replaces them."""
    given = {field.name: getattr(group, field.name) for group in groups for field in fields(group)}
    return kind(**{**given, **values})
