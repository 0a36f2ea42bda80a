"""Grids of images, and networks whose logit of a class depends on one cell of a grid alone."""

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from probatum.engine.copying import copy_model
from probatum.engine.outputs import find_logits

SIDE = 2  # cells along a side of a grid
CELLS = SIDE * SIDE


def join_cells(cells: Float[Tensor, "grid cell channel height width"]) -> Float[Tensor, "grid channel tall wide"]:
    """Puts the cells of each grid side by side, row by row."""
    grids, _, channels, height, width = cells.shape
    rows = cells.reshape(grids, SIDE, SIDE, channels, height, width)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(grids, channels, SIDE * height, SIDE * width)


def split_cells(grids: Float[Tensor, "grid channel tall wide"]) -> Float[Tensor, "grid cell channel height width"]:
    """Cuts grids into their cells: the inverse of `join_cells`."""
    count, channels, height, width = grids.shape
    parts = grids.reshape(count, channels, SIDE, height // SIDE, SIDE, width // SIDE)
    return parts.permute(0, 2, 4, 1, 3, 5).reshape(count, CELLS, channels, height // SIDE, width // SIDE)


class JoinedFeatures(nn.Module):
    """A layer that sees cells one by one, and whose features are put together once, where Grad-CAM can read them.

    Args:
        layer: returns feature maps (grid × cell, channel, height, width).
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.joined = nn.Identity()

    def forward(self, *inputs: Tensor) -> Tensor:
        """The layer's own output; on the way `joined` returns (grid, channel, 2 height, 2 width)."""
        features = self.layer(*inputs)
        cells = features.reshape(-1, CELLS, *features.shape[1:])
        return split_cells(self.joined(join_cells(cells))).flatten(0, 1)


class DisconnectedGrid(nn.Module):
    """A classifier of grids whose logit of a cell's class sees that cell and nothing else.

        f(grid)_c = f₁(cell k)_c  where c is the class of cell k;  mean over the cells of f₁(cell)_c  for other classes

    Every cell passes the network by itself. The derivative of the logit of a cell's class with respect to the other
    cells is exactly 0.

    Source: Rao, Böhle & Schiele (2022), arXiv:2205.10435, the setting DiFull.

    Args:
        model: the classifier of images; it is copied and shares its weights.
        layer: dotted path of its last feature map.
    """

    def __init__(self, model: nn.Module, layer: str) -> None:
        super().__init__()
        self.model = copy_model(model)
        parent, _, name = layer.rpartition(".")
        setattr(self.model.get_submodule(parent), name, JoinedFeatures(self.model.get_submodule(layer)))
        self.layer = f"model.{layer}.joined"

    def forward(
        self, grids: Float[Tensor, "grid channel tall wide"], classes: Int64[Tensor, "grid cell"]
    ) -> Float[Tensor, "grid class"]:
        """Logits of grids, whose cells have these classes, each another."""
        answer = self.model(split_cells(grids).flatten(0, 1))
        logits = find_logits(answer, None, type(self.model).__name__).reshape(*classes.shape, -1)  # (grid, cell, class)
        own = F.one_hot(classes, logits.shape[2]).to(logits.dtype)
        weights = own + (1 - own.sum(1, keepdim=True)) / CELLS
        mixed: Tensor = (logits * weights).sum(1)
        return mixed
