"""The networks that the papers' experiments explain, with the images that they explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.attributions import Method, attribute
from probatum.data import ImageSet, image_files, load_photographs
from probatum.data.datasets import data_title
from probatum.engine import all_logits, prepare
from probatum.errors import InvalidInput, MissingFile
from probatum.experiments import SanityResult, sanity_check
from probatum.experiments.build import preprocessing_of
from probatum.metrics import Metric
from probatum.models import ModelSpec, load_model, model_spec
from probatum.models.last_relu import last_relu, without_last_relu
from probatum.models.stages import Stages
from probatum.randomization import Preset, Randomizer, StagePlan, automatic_stages, stages_from_table, usual_stages
from probatum.reproductions import inputs
from probatum.reproductions.base import Context, joined
from probatum.reproductions.setting import PRETRAINED, Setting

FEW = 8  # images that tell whether a network ends in a ReLU


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with the images that it explains.

    Args:
        name: for files.
        title: for figures; random weights are named.
        model: on the context's device.
        data: preprocessed for it, on the CPU.
        setting: what replaced the paper's network and images.
        stages: (name, module paths) from the output to the input; None for one stage per layer, or block if many.
        layer: that Grad-CAM reads; None for the one that it finds.
        class_names: of the network, or None.
        trained: False if its weights are random.
        values: that are explained where they are not the network's outputs, in words; else "".
    """

    name: str
    title: str
    model: nn.Module
    data: ImageSet
    setting: Setting
    stages: Stages | None = None
    layer: str | None = None
    class_names: tuple[str, ...] | None = None
    trained: bool = True
    values: str = ""

    @property
    def used(self) -> str:
        """The network and its images, as headings name them."""
        return f"{self.title} on {data_title(self.data.name)}"

    def class_name(self, target: int) -> str:
        """The name of a class, or its number."""
        names = self.class_names
        return names[target] if names is not None and target < len(names) else str(target)

    def plan(self, context: Context) -> StagePlan:
        """The stages of the network."""
        images = self.data.images.to(context.device)
        if self.stages:
            return stages_from_table(self.model, self.stages, images=images)
        return usual_stages(automatic_stages(self.model, images))

    def randomizer(self, context: Context, protocol: Preset) -> Randomizer:
        """Randomizes the network stage by stage."""
        return protocol.randomizer(self.model, self.plan(context), context.config.seed)

    def probabilities(self, context: Context) -> Float[Tensor, "image class"]:
        """Softmax of the logits."""
        prepared = prepare(self.model, memory_budget=context.config.memory_budget)
        return all_logits(prepared, self.data.images.to(context.device)).softmax(1)


def explain(
    context: Context,
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    methods: Mapping[str, Method],
    what: str,
    *,
    again: int = 0,
) -> dict[str, Tensor]:
    """The maps of several methods, on the CPU.

    Args:
        context: of the experiment.
        model: on the context's device.
        images: that are explained.
        targets: (image,) classes.
        methods: by name.
        what: is explained, for the progress.
        again: added to the seed, for other noise.
    """
    maps = attribute(
        model,
        images.to(context.device),
        targets.to(context.device),
        methods,
        seed=context.config.seed + again,
        memory_budget=context.config.memory_budget,
        progress=lambda done, total: context.progress(done, total, what),
    )
    return {name: values.cpu() for name, values in maps.items()}


def cascade(
    context: Context,
    subject: Subject,
    methods: Mapping[str, Method],
    metrics: Mapping[str, Metric] | Sequence[str],
    protocol: Preset,
    *,
    targets: Tensor | None = None,
    trials: int = 1,
    keep_maps: int = 0,
) -> SanityResult:
    """Compare the maps of a network with those after each stage of its randomization.

    Args:
        context: of the experiment.
        subject: the network and its images.
        methods: by name.
        metrics: that compare maps.
        protocol: of the randomization.
        targets: (image,) explained classes; None is what the network predicts.
        trials: independent randomizations.
        keep_maps: of how many images the maps are kept.
    """
    return sanity_check(
        subject.model,
        subject.data.images.to(context.device),
        targets,
        methods=methods,
        metrics=metrics,
        randomizer=subject.randomizer(context, protocol),
        trials=trials,
        seed=context.config.seed,
        image_names=subject.data.image_names,
        keep_maps=keep_maps,
        memory_budget=context.config.memory_budget,
        cells=context.cells,
        progress=lambda done, total, what: context.progress(done, total, f"{subject.title}, {what}"),
    )


def pretrained(
    context: Context, name: str, weights: str, photographs: Sequence[Path] | ImageSet, papers: Sequence[str]
) -> Subject:
    """A network of torchvision with photographs.

    Args:
        context: of the experiment.
        name: of the network.
        weights: "default", "none" or a checkpoint file.
        photographs: files, or images preprocessed for the network.
        papers: the networks of the paper; any other replaces them.

    Raises:
        InvalidInput: the network takes no photographs.
        ModelError: published weights that cannot be loaded.
    """
    spec = photograph_spec(name, papers)
    data = photographs if isinstance(photographs, ImageSet) else load_photographs(photographs, preprocessing_of(spec))
    loaded = load_model(name, weights, seed=context.config.seed).to(context.device)
    model, values = before_last_relu(loaded, data.images)
    title = f"{spec.title} with random weights" if weights == "none" else spec.title
    theirs = " and ".join(model_spec(paper).title for paper in papers)
    return Subject(
        name=name,
        title=title,
        model=model,
        data=data,
        setting=Setting(
            () if name in papers else (joined(f"{title} instead of {theirs}", values),),
            {PRETRAINED: "the weights are random: give --weights"} if weights == "none" else {},
        ),
        stages=spec.stages,
        layer=spec.grad_cam_layer,
        class_names=spec.class_names,
        trained=weights != "none",
        values=values,
    )


def photograph_spec(name: str, papers: Sequence[str]) -> ModelSpec:
    """The metadata of a network; InvalidInput if it takes no photographs, as those of the papers do."""
    spec = model_spec(name)
    if spec.channels != 3:
        raise InvalidInput(f"{spec.title} takes no photographs; give --model {papers[0]} or another of torchvision's")
    return spec


def before_last_relu(model: nn.Module, images: Tensor) -> tuple[nn.Module, str]:
    """The network whose logits are the values before its last ReLU, and that in words; as it is, and "", without one.

    SqueezeNet ends in a ReLU. Once its weights are random, about half of its logits are exactly 0, and so are their
    gradients and maps: nothing could be compared.

    Args:
        model: on its device; not changed.
        images: that it takes, of which a few are tried.
    """
    some = images[:FEW].to(next(model.parameters(), torch.empty(0)).device)
    name = last_relu(model, some)
    return (model, "") if name is None else (without_last_relu(model, name), f"values before the last ReLU, {name}")


def photograph_folders(context: Context) -> list[Path]:
    """The folder of `--photographs`, or those of the data folder: imagenet-demo/, the authors' own, comes first.

    imagenet-demo/ holds the photographs of the figures of Adebayo et al. (2018), which Wienecke and Hinrichs (2021)
    explain too.

    Raises:
        InvalidInput: there is no folder of the given name.
    """
    config = context.config
    if config.photographs is not None:
        given = Path(config.photographs)
        if not given.is_dir():
            raise MissingFile("folder of photographs", given)
        return [given]
    root = Path(config.data_dir or "")
    names = [name for name in inputs.PHOTOGRAPHS if name not in context.absent and config.data_dir is not None]
    return [root / name for name in names if (root / name).is_dir()]


def photograph_files(context: Context) -> list[Path]:
    """The photographs of `photograph_folders`, folder by folder, by name."""
    return [file for folder in photograph_folders(context) for file in image_files(folder)]


def first_named(files: Sequence[Path], parts: Sequence[str]) -> list[Path]:
    """The file of which the name has one of these parts, the earlier the part the better; empty without one."""
    return [file for part in parts for file in files if part.lower() in file.name.lower()][:1]


def wants_networks(context: Context) -> bool:
    """True if pretrained networks are asked for; the preset "quick" downloads none by itself."""
    config = context.config
    return config.model is not None or config.weights != "default" or not config.substitutes
