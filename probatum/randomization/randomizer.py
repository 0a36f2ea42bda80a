"""The randomizer: makes a new model for every step of a randomization and leaves the original unchanged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import torch
from torch import Tensor, nn

from probatum.engine import Extra, Output, all_logits, copy_model, prepare, used_parameters
from probatum.engine.copying import written_module
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.randomization.classes import other_classes
from probatum.randomization.derived import Derived, derived_buffers
from probatum.randomization.initializers import Identity, Initializer
from probatum.randomization.stages import STATISTICS, Stage, StagePlan, assign, named_tensors, names_under

ORDERS = ("cascading", "independent", "bottom-up", "full", "logit")
ONE_STEP = ("full", "logit")
BATCH_NORM = ("keep-statistics", "reset-statistics")


class Step(NamedTuple):
    """One step: its number (0 is the trained model), the name of the added stage ("trained" for 0), and its model."""

    number: int
    stage: str
    model: nn.Module


@dataclass(frozen=True)
class Entry:
    """State of one parameter or buffer after all stages are randomized.

    Args:
        name: dotted path.
        stage: the stage that re-draws it first, or "".
        count: number of values; 0 for another name of a tied parameter, which is counted once.
        state: "re-drawn"; "same value" (drawn, but equal to the trained value: a constant); "unused"; "tied to ...";
            for buffers "reset", "recomputed" (from the new weights) or "kept".
        rule: how it is drawn, in words; "" if it is not drawn.
    """

    name: str
    stage: str
    count: int
    state: str
    rule: str = ""


def stream(seed: int, trial: int, name: str, step: int | None = None) -> torch.Generator:
    """Return the generator of one parameter, on the CPU, seeded by a hash of all arguments.

    torch keeps 32 bits of a CPU generator's seed: among 200 parameters two share a stream with probability 5e-6.
    """
    key = repr((int(seed), int(trial), name, step)).encode()
    return torch.Generator("cpu").manual_seed(int.from_bytes(blake2b(key, digest_size=8).digest(), "little"))


@dataclass(frozen=True, eq=False)
class Randomizer:
    """Makes the models of a parameter-randomization test.

    Every parameter has its own random stream, keyed by (seed, trial, dotted name). Layers of equal shape get different
    weights, and a layer gets the same weights in cascading and independent order, on every device, and regardless of
    the order in which steps are requested. The global random state does not change.

    Source: Adebayo et al. (2018), arXiv 1810.03292 (cascading, independent); Hedström et al. (2024), arXiv 2401.06465
    (bottom-up, full); Sixt et al. (2020), arXiv 1912.09818 (logit).

    Args:
        trained: the model to randomize, in any mode and on any device; not changed.
        plan: its stages, the output first.
        initializer: how a parameter is re-drawn.
        order: "cascading" randomizes stages 1..k at step k, from the output down; "bottom-up" does so from the input
            up; "independent" randomizes stage k alone, from the output down; "full" randomizes all stages in a single
            step; "logit" keeps all weights and explains another class in a single step (see `targets`), and needs the
            identity initializer.
        seed: of all streams.
        batch_norm: running statistics of re-drawn layers: "keep-statistics" (Adebayo et al. re-draw trainable variables
            only) or "reset-statistics" (mean 0, variance 1).
        redraw: True re-draws all stages at every step (Wienecke & Hinrichs); the step is then part of the key.

    Raises:
        InvalidInput: an invalid combination of options, or a faulty plan (see `stages_from_table`).
        UnknownName: an unknown option, or a path that the model does not have.
        ModelError: a parameter is in no stage, or a buffer cannot be recomputed (see `derived_buffers`).
    """

    trained: nn.Module
    plan: StagePlan
    initializer: Initializer
    order: str = "cascading"
    seed: int = 0
    batch_norm: str = "keep-statistics"
    redraw: bool = False
    _stage_of: dict[str, str] = field(init=False, repr=False)
    _derived: tuple[Derived, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for kind, value, choices in (("order", self.order, ORDERS), ("policy", self.batch_norm, BATCH_NORM)):
            if value not in choices:
                raise UnknownName(f"randomization {kind}", value, choices)
        if isinstance(self.initializer, Identity) and self.batch_norm == "reset-statistics":
            raise InvalidInput("the identity control changes nothing; it needs batch_norm='keep-statistics'")
        if self.order == "logit" and not isinstance(self.initializer, Identity):
            raise InvalidInput("order 'logit' keeps all weights; it needs initializer='identity'")
        object.__setattr__(self, "trained", written_module(self.trained))
        object.__setattr__(self, "_stage_of", assign(self.trained, self.plan))
        keeps_weights = isinstance(self.initializer, Identity)
        object.__setattr__(self, "_derived", () if keeps_weights else derived_buffers(self.trained))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages in the order visited: step k adds `stages[k - 1]`."""
        if self.order == "full":
            return (Stage("all layers", tuple(path for stage in self.plan.stages for path in stage.modules)),)
        if self.order == "logit":
            return (Stage("another class", ()),)
        return self.plan.stages[::-1] if self.order == "bottom-up" else self.plan.stages

    def targets(
        self, images: Tensor, targets: Tensor, trial: int = 0, output: Output | None = None, extra: Extra = ()
    ) -> Tensor:
        """Return the classes to explain on the models of steps 1 and later.

        Args:
            images: (batch, ...), inputs of the model.
            targets: (batch,), the classes explained on the trained model.
            trial: number of the independent randomization.
            output: position of the logits in the model's output; see `engine.prepare`.
            extra: further inputs of the model; see `engine.prepare`.

        Returns:
            (batch,), the same classes; in order "logit" another class for each image, see `other_classes`.

        Raises:
            InvalidInput: order "logit", and the model has only one class.
        """
        if self.order != "logit":
            return targets
        first = [each[:1] for each in extra]
        classes = all_logits(prepare(self.trained, output=output, extra=first), images[:1]).shape[1]
        return other_classes(images, targets, classes, self.seed, trial)

    def model(self, step: int, trial: int = 0) -> nn.Module:
        """Make the model of one step, independently of other steps.

        Args:
            step: 0 for the trained model, k for the stage `stages[k - 1]`, at most `len(stages)`.
            trial: number of the independent randomization.

        Returns:
            A new model in the same mode. Tensors that are not randomized share storage with the trained model.

        Raises:
            InvalidInput: there is no such step.
            ModelError: the initializer fails, or returns a wrong shape or values that are not finite.
        """
        if not 0 <= step <= len(self.stages):
            raise InvalidInput(f"there is no step {step}; steps run from 0 (trained) to {len(self.stages)}")
        if self.order in ONE_STEP:
            return self._redrawn(self.trained, self.plan.stages if step else (), step, trial)
        first = step - 1 if self.order == "independent" else 0
        return self._redrawn(self.trained, self.stages[max(first, 0) : step], step, trial)

    def steps(self, trial: int = 0, start: int = 0) -> Iterator[Step]:
        """Yield the steps from `start` on, bit for bit as `model` makes them, but draw each stage once if possible."""
        model = self.model(start, trial)
        yield Step(start, self.stages[start - 1].name if start else "trained", model)
        for number, stage in enumerate(self.stages[start:], start + 1):
            if self.order in ("independent", *ONE_STEP) or self.redraw:
                model = self.model(number, trial)
            else:
                model = self._redrawn(model, [stage], number, trial)
            yield Step(number, stage.name, model)

    def require_unused(self, model: nn.Module, images: Tensor, output: Output | None = None, extra: Extra = ()) -> None:
        """Check that no image uses weights that the plan lists as unused and that therefore stay trained.

        Args:
            model: the trained model or a step's model, since random gates may route an image differently.
            images: (batch, ...), the images to be explained.
            output: position of the logits in the model's output; see `engine.prepare`.
            extra: further inputs of the model; see `engine.prepare`.

        Raises:
            ModelError: the logits of an image depend on an unused parameter.
        """
        if not self.plan.unused or isinstance(self.initializer, Identity):
            return
        reached = used_parameters(model, images, names_under(self.trained, self.plan.unused), output, extra)
        if reached:
            raise ModelError(
                f"{min(reached)} of {type(self.trained).__name__} counts as unused and stays trained, but an image "
                "reaches it; make the stages with more images, or put it in a stage of a table"
            )

    def account(self) -> tuple[Entry, ...]:
        """List every parameter and buffer with its stage and state, measured on one full randomization (trial 0)."""
        # A single step visits a stage that is not in the plan; parameters are listed under the plan's stages.
        planned = self.plan.stages if self.order in ONE_STEP else self.stages
        drawn = named_tensors(self._redrawn(self.trained, planned, len(self.stages), trial=0))
        visited = {stage.name: position for position, stage in enumerate(planned)}
        names: dict[int, list[str]] = {}
        for name, tensor in self.trained.named_parameters(remove_duplicate=False):
            names.setdefault(id(tensor), []).append(name)
        entries = []
        for name, parameter in self.trained.named_parameters(remove_duplicate=False):
            first = names[id(parameter)][0]
            aliases = [self._stage_of[each] for each in names[id(parameter)] if each in self._stage_of]
            stages = sorted(aliases, key=lambda each: visited[each])
            stage, state, rule = "", "unused", ""
            if stages:
                stage, state = stages[0], "same value" if torch.equal(parameter, drawn[name]) else "re-drawn"
                rule = self.initializer.rule(*self._owner(first), parameter.detach())
            if name == first:
                entries.append(Entry(name, stage, parameter.numel(), state, rule))
            else:
                entries.append(Entry(name, stage, 0, f"tied to {first}"))
        source = {name: each.sources[0] for each in self._derived for name in each.names}
        for name, buffer in self.trained.named_buffers():
            stage = self._stage_of.get(source.get(name, name), "")
            reset = name in self._stage_of and self.batch_norm == "reset-statistics"
            state = "recomputed" if name in source and stage else "reset" if reset else "kept"
            entries.append(Entry(name, stage, buffer.numel(), state))
        return tuple(entries)

    def _redrawn(self, base: nn.Module, stages: Sequence[Stage], step: int, trial: int) -> nn.Module:
        """Return a copy of `base` with all parameters of some stages re-drawn, given their trained values."""
        wanted = {stage.name for stage in stages}
        names = {name for name, stage in self._stage_of.items() if stage in wanted}
        if self.batch_norm == "keep-statistics":
            names = {name for name in names if name.rpartition(".")[2] not in STATISTICS}
        trained = named_tensors(self.trained)
        drawn = {id(trained[name]) for name in names}
        derived = [each for each in self._derived if any(id(trained[source]) in drawn for source in each.sources)]
        recomputed = {name for each in derived for name in each.names}
        with torch.inference_mode(False), torch.no_grad():
            model = copy_model(base, own=(names | recomputed).__contains__)
            tensors = named_tensors(model)
            for name in names - dict(self.trained.named_parameters(remove_duplicate=False)).keys():
                tensors[name].fill_(1.0 if name.endswith("running_var") else 0.0)
            # A tied parameter is drawn only once, under its first name.
            for name, parameter in self.trained.named_parameters():
                if id(parameter) in drawn:
                    generator = stream(self.seed, trial, name, step if self.redraw else None)
                    module, local = self._owner(name)
                    value = self.initializer(module, local, parameter.detach(), generator)
                    tensors[name].copy_(value)
            for each in derived:
                each.recompute(model)
        return model

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        """Return the module that owns a parameter, and the parameter's name there."""
        path, _, local = name.rpartition(".")
        return self.trained.get_submodule(path), local
