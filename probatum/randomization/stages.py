"""Stages: the weights that one step of a randomization re-draws; every parameter of the model is accounted for."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from probatum.engine.copying import written_module
from probatum.engine.extra import Extra
from probatum.engine.outputs import Output
from probatum.engine.trace import used_parameters
from probatum.errors import InvalidInput, ModelError, UnknownName

STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Stage:
    """One step of a randomization.

    Args:
        name: used in figures and results.
        modules: dotted paths, each of a module (all its parameters) or of a single parameter.
    """

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class StagePlan:
    """The stages of a model, and the parameters that are in none.

    Args:
        stages: in cascading order, the output first.
        unused: dotted paths of the modules and parameters that the forward pass does not use; they are never re-drawn.
    """

    stages: tuple[Stage, ...]
    unused: tuple[str, ...] = ()


def stages_from_table(
    model: nn.Module,
    table: Sequence[tuple[str, Sequence[str]]],
    *,
    unused: Sequence[str] = (),
    images: Float[Tensor, "batch *shape"] | None = None,
    output: Output | None = None,
    extra: Extra = (),
) -> StagePlan:
    """Make stages from a table and check them against a model.

    Args:
        model: the model; not changed.
        table: (stage name, paths of modules or parameters) in cascading order, the output first.
        unused: paths that are in no stage because the forward pass does not use them.
        images: inputs for finding other unused parameters, those that no image reaches. They pass through the model one
            by one until every parameter has been used.
        output: position of the logits in the model's output; see `engine.prepare`. Used with images only.
        extra: further inputs of the model; see `engine.prepare`.

    Raises:
        UnknownName: a path names neither a module nor a parameter.
        InvalidInput: a stage is empty or named twice, or a parameter is in two stages.
        ModelError: a parameter is in no stage and not known to be unused.
    """
    model = written_module(model)
    stages = tuple(Stage(name, tuple(modules)) for name, modules in table)
    if images is not None:
        staged = names_under(model, [path for stage in stages for path in stage.modules])
        declared = names_under(model, unused)
        left = untouched(model, {*staged, *declared})
        used = used_parameters(model, images, left, output, extra)
        idle = [name for name in left if name not in used]
        unused = (*unused, *shortest_paths(module_sizes(model), idle))
    plan = StagePlan(stages, tuple(unused))
    assign(model, plan)
    return plan


def assign(model: nn.Module, plan: StagePlan) -> dict[str, str]:
    """Map the dotted name of every staged parameter and running statistic to the name of its stage.

    A tied parameter is staged if one of its names is. Its names may be in different stages.
    """
    model = written_module(model)
    kind = type(model).__name__
    tree = _tree(model)
    stage_of: dict[str, str] = {}
    for stage in plan.stages:
        if sum(other.name == stage.name for other in plan.stages) > 1:
            raise InvalidInput(f"two stages of {kind} are called {stage.name!r}; give each stage its own name")
        names = _look_up(model, tree, stage.modules)
        if all(_is_statistic(name) for name in names):
            raise InvalidInput(f"stage {stage.name!r} of {kind} holds no parameter; leave it out")
        for name in names:
            if name in stage_of:
                raise InvalidInput(f"{name} of {kind} is in two stages, {stage_of[name]!r} and {stage.name!r}")
            stage_of[name] = stage.name
    idle = _look_up(model, tree, plan.unused)
    both = next((name for name in idle if name in stage_of), None)
    if both is not None:
        raise InvalidInput(f"{both} of {kind} is in stage {stage_of[both]!r} and listed as unused; choose one")
    missing = untouched(model, {*stage_of, *idle})
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{missing[0]}{more} of {kind} would stay trained: put it in a stage, "
            "or list it as unused if the forward pass does not use it"
        )
    return stage_of


def untouched(model: nn.Module, names: Collection[str]) -> list[str]:
    """List the parameters none of whose names is among `names`."""
    tensors = named_tensors(model)
    known = {id(tensors[name]) for name in names}
    return [name for name, parameter in model.named_parameters() if id(parameter) not in known]


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and running statistics under all their names, including those of tied tensors."""
    named: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    named |= {name: buffer for name, buffer in model.named_buffers(remove_duplicate=False) if _is_statistic(name)}
    return named


def names_under(model: nn.Module, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the parameters and running statistics at or below the paths; UnknownName for a wrong path."""
    return _look_up(model, _tree(model), paths)


def _tree(model: nn.Module) -> dict[str, list[str]]:
    """Map the path of every module and tensor to the names at or below it."""
    tree: dict[str, list[str]] = {path: [] for path, _ in model.named_modules(remove_duplicate=False) if path}
    for name in named_tensors(model):
        tree[name] = [name]
        for path in _ancestors(name):
            tree[path].append(name)
    return tree


def _look_up(model: nn.Module, tree: dict[str, list[str]], paths: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for path in paths:
        if path not in tree:
            raise UnknownName(f"module or parameter of {type(model).__name__}", path, tree)
        found |= dict.fromkeys(tree[path])
    return tuple(found)


def module_sizes(model: nn.Module) -> Counter[str]:
    """Count the parameter names below each module."""
    return Counter(path for name, _ in model.named_parameters(remove_duplicate=False) for path in _ancestors(name))


def shortest_paths(
    sizes: Counter[str], names: Iterable[str], *, within: Collection[str] | None = None
) -> tuple[str, ...]:
    """Describe a set of parameters by the fewest paths: a module's path if all its parameters are in the set.

    Args:
        sizes: `module_sizes` of the model.
        names: parameters and running statistics.
        within: modules whose path may be used; None allows all but the model itself.
    """
    chosen = dict.fromkeys(names)
    held = Counter(path for name in chosen if not _is_statistic(name) for path in _ancestors(name))
    paths: dict[str, None] = {}
    for name in chosen:
        whole = [path for path in _ancestors(name) if held[path] == sizes[path] and (within is None or path in within)]
        paths[whole[-1] if whole else name] = None
    return tuple(paths)


def _ancestors(name: str) -> list[str]:
    """List the modules that enclose a name, innermost first, without the model itself."""
    parts = name.split(".")[:-1]
    return [".".join(parts[:depth]) for depth in range(len(parts), 0, -1)]


def _is_statistic(name: str) -> bool:
    return name.rpartition(".")[2] in STATISTICS
