"""The localization check: grids of images of distinct classes, where the right cell is known without any training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from probatum.attributions import EdgeDetector, Gradient, Method, attribute, resolved
from probatum.attributions.base import MethodsLike, named_methods
from probatum.engine import Compute, PreparedModel, Tick, all_logits, find_feature_map, prepare_with
from probatum.engine.arguments import require_count
from probatum.errors import InvalidInput, ModelError
from probatum.experiments.localization.grids import Grid, draw_grids
from probatum.experiments.localization.result import SETTINGS, LocalizationResult
from probatum.experiments.options import set_fields
from probatum.models.disconnected import CELLS, DisconnectedGrid, join_cells, split_cells
from probatum.progress import Progress, shows_progress
from probatum.runs.cells import Arrays, Cell, CellStore
from probatum.runs.ranks import Ranks

ROUNDS = 4
LEAST_CONFIDENCE = 0.5
_ROUNDING = 1e-3  # of the largest logit; a mean over places in another order, in float32 or TF32
_CONTROLS: dict[str, Method] = {"edge-detector": EdgeDetector(), "gradient": Gradient()}


@shows_progress
def localization_check(
    model: nn.Module,
    images: Tensor,
    *,
    methods: MethodsLike,
    labels: Tensor | Sequence[int] | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
    rounds: int = ROUNDS,
    seed: int = 0,
    image_names: Sequence[str] | None = None,
    precision: str | None = None,
    memory_budget: int | str | None = None,
    progress: Progress | None = None,
) -> LocalizationResult:
    """Measures how much of a method's positive attribution lies where the evidence is, without any training.

    Four images of distinct predicted classes stand in a grid of 2 × 2, and the class of each is explained in turn:

        share = Σ_{p in the cell of the class} A⁺_p / Σ_p A⁺_p,    A = Σ_channels M,    chance = 1/4

    "GridPG", the grid pointing game, explains the network on the whole grid, which is twice as large as an image. In
    "DiFull" every cell passes the network by itself, and the logit of its class sees no other cell, so that any
    attribution elsewhere is wrong by construction: `outside`, the share of |A| in the other cells, should be 0.

    1. A map without any positive value takes no part.
    2. With fewer than 5 images that take part, a method is "undecided".
    3. "Localizes" where the 95 % interval of the share, over images and rounds, lies above 0.625, half of the way from
       chance to 1; "does not" where it lies below 0.4375, a quarter of the way; "undecided" otherwise. These bounds are
       those of the verdicts on randomization; the paper names none.

    Two controls are added where they are not among the methods. The edge detector gives all four classes of a grid one
    map, so its shares are 1/4 on average, exactly. The gradient is exactly 0 outside of the cell in DiFull.

    Source: Rao, Böhle & Schiele (2022), arXiv:2205.10435; the grid pointing game: Böhle, Fritz & Schiele (2021),
    arXiv:2104.00032.

    Args:
        model: a convolutional classifier that takes the mean over places of its last feature map; left as it is.
        images: (batch, channel, height, width), preprocessed, each as large as the network takes them.
        methods: as in `attribute`.
        labels: class indices (batch,) of the model; images that it misclassifies are left out. None is unknown.
        least_confidence: smallest probability of the predicted class of an image that is used, in [0, 1].
        rounds: how often the images are put into new grids; in each, an image stands in at most one.
        seed: of the grids and of the methods' noise.
        image_names: one for each image; numbers where not given.
        precision: as in `attribute`, like the next one.
        memory_budget: of one model call.
        progress: called with (explained grids, in all, the setting).

    Returns:
        the shares and the verdict on each method in each setting.

    Raises:
        InvalidInput: fewer than four predicted classes among the usable images, or what the parts raise.
        ModelError: the network has no last feature map of a convolution, reads where in it something is, or refuses
            images twice as large.

    Differs from the paper: (1) Confidence is at least 0.5 instead of 0.99. (2) Which class an image has is predicted
    where no labels are given. (3) Intervals and words are added.
    """
    names = tuple(image_names or (f"image-{index:03d}" for index in range(len(images))))
    if len(names) != len(images) or len(set(names)) < len(names):
        raise InvalidInput(f"{len(set(names))} image names for {len(images)} images; give each its own")
    work = localization_work(
        model,
        images,
        named_methods(methods),
        labels=labels,
        least_confidence=least_confidence,
        rounds=rounds,
        seed=seed,
        image_names=names,
        compute=Compute(precision, memory_budget=memory_budget),
    )
    found: dict[Cell, Arrays] = {}
    for number, cell in enumerate(work.cells):
        found[cell] = work.explain(cell, work.tick(number, progress))
    return work.gathered(found.__getitem__)


def localization_work(
    model: nn.Module,
    images: Tensor,
    methods: Mapping[str, Method],
    *,
    labels: Tensor | Sequence[int] | None,
    least_confidence: float,
    rounds: int,
    seed: int,
    image_names: tuple[str, ...],
    probabilities: Tensor | None = None,
    compute: Compute,
) -> "LocalizationWork":
    """Chooses the images, draws the grids and prepares both networks: see `localization_check`."""
    require_count("rounds", rounds)
    require_confidence(least_confidence)
    if images.ndim != 4:
        raise InvalidInput(f"a grid needs images (batch, channel, height, width), got {tuple(images.shape)}")
    prepared = prepare_with(model, compute, example=images)
    images = prepared.accept(images)
    layer = pooled_features(prepared, images[:1])
    if probabilities is None:
        probabilities = all_logits(prepared, images).softmax(1)
    confidences, classes = probabilities.max(1)
    left_out = dict(_left_out(classes.tolist(), confidences.tolist(), labels, least_confidence, image_names))
    used = [row for row in range(len(images)) if row not in left_out]
    targets = classes[used]
    grids = draw_grids(targets.tolist(), rounds, seed)
    named = dict(methods)
    controls = {}
    for name, control in _CONTROLS.items():
        known = next((each for each, method in named.items() if method == control), None)
        controls[name] = known or name
        if known is None:
            if name in named:
                raise InvalidInput(f"{name!r} is the name of a control; give the method another")
            named[name] = control
    network = DisconnectedGrid(prepared.model, layer)
    work = LocalizationWork(
        whole=prepared,
        disconnected=prepare_with(network, prepared.compute),
        images=images[used],
        image_names=tuple(image_names[row] for row in used),
        targets=targets,
        methods=resolved(named, prepared, images),
        layer=layer,
        joined=network.layer,
        grids=tuple(map(tuple, grids)),
        seed=seed,
        left_out=tuple((image_names[row], why) for row, why in left_out.items()),
        edges=controls["edge-detector"],
        gradient=controls["gradient"],
    )
    work.require_size()
    return work


@dataclass(frozen=True, eq=False)
class LocalizationWork:
    """A localization check cut into cells: one grid in one round and setting, with all its four classes.

    Args:
        whole: the network, which sees a whole grid in GridPG.
        disconnected: the network of DiFull.
        images: those that are used.
        image_names: of these.
        targets: their predicted classes.
        methods: by name.
        layer: path of the network's last feature map.
        joined: path of the same in the network of DiFull.
        grids: of each round.
        seed: of the methods' noise.
        left_out: name of each image that is not used, and why.
        edges: name of the edge detector among the methods.
        gradient: name of the gradient among them.
    """

    whole: PreparedModel
    disconnected: PreparedModel
    images: Tensor
    image_names: tuple[str, ...]
    targets: Tensor
    methods: Mapping[str, Method]
    layer: str
    joined: str
    grids: tuple[tuple[Grid, ...], ...]
    seed: int
    left_out: tuple[tuple[str, str], ...]
    edges: str
    gradient: str

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells: round by round, grid by grid, first GridPG and then DiFull."""
        return [
            Cell(number, number + 1, turn * len(SETTINGS) + setting)
            for turn, grids in enumerate(self.grids)
            for number in range(len(grids))
            for setting in range(len(SETTINGS))
        ]

    @cached_property
    def disconnected_methods(self) -> dict[str, Method]:
        """The methods as they are asked in DiFull, where those that read a layer read the joined features.

        Raises:
            InvalidInput: a method reads another layer than the last feature map.
        """
        found = {}
        for name, method in self.methods.items():
            layers = {each for each in _layers(method) if each != self.layer}
            if layers:
                raise InvalidInput(
                    f"{name} reads layer {min(layers)}; in grids every method reads the last feature map, {self.layer}"
                )
            found[name] = set_fields(method, {"layer": self.joined, "layout": "nchw"})[0]
        return found

    def require_size(self) -> None:
        """Raises ModelError where the network refuses images twice as large, and what wrong layers raise."""
        _ = self.disconnected_methods
        grid = self._grid(self.grids[0][0])
        try:
            with torch.no_grad():
                self.whole.logits(grid)
        except (RuntimeError, ValueError, AssertionError, ModelError) as error:
            size = "×".join(map(str, grid.shape[2:]))
            raise ModelError(
                f"{self.whole.name} refuses images of {size}, the size of a grid: {error}. Localization needs a "
                "convolutional network that takes images of any size"
            ) from error

    def tick(self, number: int, progress: Progress | None) -> Tick | None:
        """The callback of one cell: its share of the progress of all."""
        if progress is None:
            return None
        setting = SETTINGS[(self.cells[number].trial or 0) % len(SETTINGS)]

        def report(done: int, total: int) -> None:
            progress(number * total + done, len(self.cells) * total, setting)

        return report

    def compute(
        self, store: CellStore, progress: Progress | None, ranks: Ranks, say: Callable[[str], None] | None
    ) -> None:
        """Computes and stores the cells that are missing; several processes take one after another."""
        missing = ranks.decide(lambda: [number for number, cell in enumerate(self.cells) if store.load(cell) is None])
        if say is not None and len(missing) < len(self.cells):
            say(f"continuing: {len(self.cells) - len(missing)} of {len(self.cells)} explained grids are there")
        for number in ranks.pieces(missing):
            store.save(self.cells[number], self.explain(self.cells[number], self.tick(number, progress)))

    def explain(self, cell: Cell, tick: Tick | None) -> Arrays:
        """Shares and outside, each (method, cell), and of the first grid the maps (method, cell, tall, wide)."""
        assert cell.trial is not None
        turn, setting = divmod(cell.trial, len(SETTINGS))
        grid = self.grids[turn][cell.first]
        classes = self.targets[list(grid)]
        rows = self._grid(grid).expand(CELLS, -1, -1, -1).contiguous()
        prepared, methods = self.whole, self.methods
        if setting:
            prepared = self.disconnected.with_extra((classes.expand(CELLS, -1).contiguous(),))
            methods = self.disconnected_methods
        maps = attribute(prepared, rows, classes, methods, seed=self.seed, progress=tick)
        summed = {name: values.double().sum(1, keepdim=True) for name, values in maps.items()}
        found = {
            "shares": np.stack([_own_share(values.clamp(min=0)) for values in summed.values()]),
            "outside": np.stack([1 - _own_share(values.abs()) for values in summed.values()]),
        }
        if turn == cell.first == 0:
            found["maps"] = np.stack([values[:, 0].float().cpu().numpy() for values in summed.values()])
        return found

    def _grid(self, grid: Grid) -> Tensor:
        return join_cells(self.images[list(grid)][None])

    def gathered(self, load: Callable[[Cell], Arrays]) -> LocalizationResult:
        """Puts the cells together."""
        shape = (len(SETTINGS), len(self.methods), len(self.images), len(self.grids))
        shares, outside = np.full(shape, np.nan), np.full(shape, np.nan)
        maps = []
        for cell in self.cells:
            assert cell.trial is not None
            turn, setting = divmod(cell.trial, len(SETTINGS))
            found = load(cell)
            images = list(self.grids[turn][cell.first])
            shares[setting][:, images, turn], outside[setting][:, images, turn] = found["shares"], found["outside"]
            if "maps" in found:
                maps.append(found["maps"])
        return LocalizationResult(
            tuple(self.methods),
            self.image_names,
            tuple(self.targets.tolist()),
            self.grids,
            shares,
            outside,
            self.left_out,
            self.edges,
            self.gradient,
            np.stack(maps),
        )


def _own_share(amounts: Tensor) -> np.ndarray:
    """The share of each row's sum that lies in its own cell, row k being about cell k; NaN where all is 0."""
    sums = split_cells(amounts).sum((2, 3, 4))  # (row, cell)
    own, total = sums.diagonal(), sums.sum(1)
    share: np.ndarray = torch.where(total > 0, own / total, torch.nan).cpu().numpy()
    return share


def _layers(method: Method) -> list[str]:
    """The layers that a method, or the method within it, reads."""
    layer, inner = getattr(method, "layer", None), getattr(method, "method", None)
    return [*([layer] if isinstance(layer, str) else []), *(_layers(inner) if isinstance(inner, Method) else [])]


def pooled_features(prepared: PreparedModel, image: Tensor) -> str:
    """The path of the last feature map, of which the network takes the mean, or another pooling, over all places.

    Raises:
        ModelError: it is none of a convolution, or the network reads where in it something is.
    """
    found = find_feature_map(prepared, image)
    if found.layout != "nchw":
        raise ModelError(
            f"the last feature map of {prepared.name}, {found.path}, has layout {found.layout}; localization needs a "
            "convolutional network with global average pooling, such as resnet18"
        )
    _require_pooling(prepared, image, found.path)
    return found.path


def _require_pooling(prepared: PreparedModel, image: Tensor, layer: str) -> None:
    """Raises ModelError where what follows the last feature map is more than a mean, or maximum, over its places."""

    def shuffle(module: nn.Module, inputs: object, features: Tensor) -> Tensor:
        return features.flatten(2).flip(2).reshape(features.shape)

    with torch.no_grad():
        usual = prepared.logits(image)
        handle = prepared.model.get_submodule(layer).register_forward_hook(shuffle)
        try:
            shuffled = prepared.logits(image)
        finally:
            handle.remove()
    if not float((usual - shuffled).abs().max()) <= _ROUNDING * float(usual.abs().max()):
        raise ModelError(
            f"{prepared.name} reads where in its last feature map, {layer}, something is; on a grid its classes would "
            "depend on the cell. Localization needs global average pooling, as resnet18 and squeezenet1_0 have it"
        )


def _left_out(
    classes: Sequence[int],
    confidences: Sequence[float],
    labels: Tensor | Sequence[int] | None,
    least_confidence: float,
    names: Sequence[str],
) -> list[tuple[int, str]]:
    """The rows of the images that are not used, and why."""
    given = [None] * len(classes) if labels is None else [int(label) for label in labels]
    if len(given) != len(classes):
        raise InvalidInput(f"{len(given)} labels for {len(classes)} images; give one label per image")
    left = []
    for row, (found, confidence, label) in enumerate(zip(classes, confidences, given, strict=True)):
        if label is not None and found != label:
            left.append((row, f"labeled {label}, classified as {found}"))
        elif confidence < least_confidence:
            left.append((row, f"classified with confidence {confidence:.2f}, below {least_confidence:g}"))
    return left


def require_confidence(least: float) -> None:
    """Raises InvalidInput where a least confidence is no probability."""
    if not 0 <= least <= 1:
        raise InvalidInput(f"least_confidence is {least}; give a probability from 0 to 1")
