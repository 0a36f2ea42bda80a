"""The options that commands share, as groups, and the completion of their values."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints, no_type_check

import typer

from probatum.errors import InvalidInput
from probatum.terminal.catalog import Kind, choices, defaults, names
from probatum.terminal.completion import listed, offered, one_of
from probatum.terminal.config_file import use_config_file
from probatum.terminal.known import file_or, image_sources, one_name, some_names, split

T = TypeVar("T")


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


_METHODS = some_names("method", listed(Kind.methods), own=True)
_WEIGHTS = ("train", "default", "none")

DataDir = Annotated[str | None, typer.Option(help="Folder that holds MNIST/raw or FashionMNIST/raw.")]
Data = Annotated[
    str, typer.Option(help="Data set (digits, mnist, fashion-mnist), folder, image or .txt list.", **image_sources())
]
DataSet = Annotated[
    str,
    typer.Option(help=f"Data set: {', '.join(names(Kind.data))}.", **one_name("data set", listed(Kind.data))),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        help="basic_cnn, mlp, any torchvision classifier, timm:NAME, hf:NAME_OR_FOLDER, or your own code, which is "
        "then run: package.module:name or ./file.py:name.",
        autocompletion=one_of(listed(Kind.models)),
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="'train' (small networks), 'default' (published, or made by your own code), 'none' (random), "
        "or a checkpoint file, whose last layer gives the number of classes.",
        autocompletion=one_of(lambda: _WEIGHTS),
        callback=file_or(_WEIGHTS, "checkpoint file"),
    ),
]
Methods = Annotated[
    str, typer.Option(help="Methods by name (see `probatum list methods`), separated by commas.", **_METHODS)
]
UsualMethods = Annotated[
    str | None,
    typer.Option(
        help="Methods by name (see `probatum list methods`) or of your own (module:name, ./file.py:name), separated by "
        f"commas; else those of {', '.join(defaults('methods'))} that the model can have.",
        **_METHODS,
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        help="'quick'; 'cpu', real data in sizes for two cores; or 'paper', the paper's own sizes, models and data.",
        **one_name("preset", lambda: ("quick", "cpu", "paper")),
    ),
]
Samples = Annotated[
    int | None, typer.Option(help="Noise samples of SmoothGrad and the SHAP methods; else the papers' numbers.")
]
Steps = Annotated[int | None, typer.Option(help="Steps of Integrated Gradients; else the papers' number.")]
Target = Annotated[int | None, typer.Option(help="Class index to explain, from 0; else the predicted class.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1, ...", autocompletion=one_of(lambda: ("auto", "cpu", "cuda")))
]
Precision = Annotated[
    str,
    typer.Option(help="float32, tf32 (CUDA), bfloat16 or float64.", **one_name("precision", offered("precision"))),
]
MemoryBudget = Annotated[
    str | None,
    typer.Option(
        help="Memory for activations, such as '2 GiB'; else 512 MiB on the CPU, half of what is free on CUDA."
    ),
]
OnError = Annotated[
    str,
    typer.Option(
        help="Stop at a photograph that cannot be read, or skip it; in attribute, also at an explainer that fails.",
        **one_name("way to treat an error", offered("on-error")),
    ),
]
LeastConfidence = Annotated[
    float | None,
    typer.Option(
        help="With --preset localization: least probability, from 0 to 1, of an image's predicted class; else 0.5."
    ),
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
InputSize = Annotated[int | None, typer.Option(help="Height and width of the images in pixels; else the model's own.")]
Mean = Annotated[
    str | None,
    typer.Option(help="Subtracted from each channel in [0, 1], such as 0.485,0.456,0.406; else the model's own."),
]
Std = Annotated[
    str | None,
    typer.Option(help="Then each channel is divided by it, such as 0.229,0.224,0.225; else the model's own."),
]
Interpolation = Annotated[
    str | None,
    typer.Option(
        help=f"How photographs are resized: {_in_words('interpolation')}; else as the model's own.",
        **one_name("interpolation", offered("interpolation")),
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        metavar="KEY", help="Where the logits are if the model returns a dict, tuple or object: a key or an index."
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(help="Grad-CAM's layer by dotted path; else the last feature map on every path to the logits."),
]
Stages = Annotated[
    str | None,
    typer.Option(
        help="Randomize layers or blocks; else the papers' stages, layers, or in deep networks blocks.",
        **one_name("kind of stages", offered("stages")),
    ),
]


@dataclass(frozen=True)
class NetworkOptions:
    """The model to examine."""

    title: ClassVar = "Model"
    model: ModelName = None
    weights: Weights = None
    classes: Annotated[
        str | None, typer.Option(help="Names of the model's classes: a file with one a line, or a folder per class.")
    ] = None
    input_size: InputSize = None
    mean: Mean = None
    std: Std = None
    interpolation: Interpolation = None
    output: Output = None
    train_images: Annotated[int, typer.Option(help="How many images the weights 'train' are trained on.")] = 10_000


@dataclass(frozen=True)
class MethodOptions:
    """Attribution methods and their hyperparameters."""

    title: ClassVar = "Methods"
    methods: UsualMethods = None
    layer: Layer = None
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
            **one_name("baseline", offered("baseline")),
        ),
    ] = None
    composite: Annotated[
        str | None,
        typer.Option(
            help=f"Rules of LRP: {_in_words('composite')}; else epsilon-plus-flat.",
            **one_name("composite", offered("composite")),
        ),
    ] = None


@dataclass(frozen=True)
class ProtocolOptions:
    """The randomization, and the metrics that compare maps."""

    title: ClassVar = "Randomization and metrics"
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Metrics by name (see `probatum list metrics`), separated by commas; else the preset's, or "
            f"{', '.join(defaults('metrics'))}.",
            **some_names("metric", listed(Kind.metrics)),
        ),
    ] = None
    preset: Annotated[
        str,
        typer.Option(
            help=f"Randomization protocol, or several, separated by commas: {', '.join(names(Kind.presets))}.",
            **some_names("randomization preset", listed(Kind.presets)),
        ),
    ] = "adebayo"
    stages: Stages = None
    order: Annotated[
        str | None,
        typer.Option(
            help=f"Order of the randomization: {_in_words('order')}; else the preset's.",
            **one_name("randomization order", offered("order")),
        ),
    ] = None
    initializer: Annotated[
        str | None,
        typer.Option(
            help=f"How random weights are drawn: {', '.join(names(Kind.initializers))}; else the preset's.",
            **one_name("initializer", listed(Kind.initializers)),
        ),
    ] = None
    batch_norm: Annotated[
        str | None,
        typer.Option(
            help=f"Running statistics of batch norm: {_in_words('batch-norm')}; else the preset's.",
            **one_name("batch-norm policy", offered("batch-norm")),
        ),
    ] = None
    trials: Annotated[int | None, typer.Option(help="How many independent randomizations; else the preset's.")] = None
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
            help="If the model ends in a ReLU: skip it and explain its input, or keep it.",
            **one_name("way to treat the last ReLU", offered("last-relu")),
        ),
    ] = "skip"
    keep_maps: Annotated[int, typer.Option(help="For how many of the images maps are stored and drawn.")] = 3


@dataclass(frozen=True)
class ComputeOptions:
    """The device, and how to compute on it."""

    title: ClassVar = "Computation"
    device: Device = "auto"
    precision: Precision = "float32"
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep the channels of a pixel side by side in memory: faster.")
    ] = False
    fold_batch_norm: Annotated[
        bool, typer.Option("--fold-batch-norm", help="Fold batch norm into convolutions: faster.")
    ] = False
    memory_budget: MemoryBudget = None


@dataclass(frozen=True)
class TrainingOptions:
    """The small network to train, and its hyperparameters."""

    title: ClassVar = "Training"
    model: Annotated[
        str,
        typer.Option(help="basic_cnn or mlp.", **one_name("model to train", lambda: ("basic_cnn", "mlp"))),
    ] = "basic_cnn"
    preset: Annotated[
        str,
        typer.Option(
            help="'quick': 3 epochs, batches of 64, Adam 1e-3; or 'paper': 50 epochs, batches of 50, Adam 1e-4.",
            **one_name("training preset", lambda: ("quick", "paper")),
        ),
    ] = "quick"
    train_images: Annotated[int | None, typer.Option(help="How many training images; else all of them.")] = None
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images; else the preset's.")] = None
    batch_size: Annotated[int | None, typer.Option(help="Images in one step; else the preset's.")] = None
    learning_rate: Annotated[float | None, typer.Option(help="Step size of Adam; else the preset's.")] = None
    target_accuracy: Annotated[
        float | None, typer.Option(help="Test accuracy, from 0 to 1, at which training stops; else none.")
    ] = None


@dataclass(frozen=True)
class ReportOptions:
    """What the command prints."""

    title: ClassVar = "What is printed"
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
    own = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name not in groups
    ]
    parameters = [*own, *(parameter for group in groups.values() for parameter in _parameters(group))]
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


def _parameters(group: Any) -> Iterator[Parameter]:
    """The fields of a group as parameters, whose options stand under its title in the help."""
    types = get_type_hints(group, include_extras=True)
    for field in fields(group):
        default = Parameter.empty if field.default is MISSING else field.default
        kind, option = get_args(types[field.name])
        titled = copy(option)
        titled.rich_help_panel = group.title
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, titled])


def configured(kind: Callable[..., T], *groups: Any, **values: Any) -> T:
    """Makes a configuration of the options in groups; `values` adds others, or replaces them."""
    given = {field.name: getattr(group, field.name) for group in groups for field in fields(group)}
    return kind(**{**given, **values})
