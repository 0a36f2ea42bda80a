"""Attention rollout: how much of each token the attention weights of all layers carry to the logits."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.attributions.base import Method
from probatum.attributions.class_activation import enlarge
from probatum.engine import (
    ATTENTION,
    Evaluation,
    PreparedModel,
    Request,
    Tokens,
    as_layout,
    token_layouts,
)
from probatum.engine.layouts import channels_first
from probatum.errors import InvalidInput, ModelError


@dataclass(frozen=True)
class AttentionRollout(Method):
    """The product of the attention weights of all layers, each mixed with the identity for its residual connection.

        Â_l = normalized rows of ( ½ A_l + ½ I ),   A_l = mean over heads        M = rᵀ Â_L ⋯ Â_1

    r picks the tokens that the logits read behind the last attention: 1 for a class token, or the mean over the tokens
    that are pooled. The map has the tokens of places, in the image's raster and enlarged linearly.

    It depends on no target: the maps of all classes are the same. Nor does it see values, MLPs or the classifier, so
    weights drawn anew there alone leave it as it is.

    Source: Abnar & Zuidema (2020), arXiv:2005.00928, section 3, equation 1 and appendix A.1.

    Args:
        layout: of the tokens: `Tokens(prefix, grid)`, or "tokens:1:14x14" for one class token and 14 × 14 places;
            "auto" takes the one that the forward pass shows.

    Returns (when called):
        (batch, 1, *space), not negative, for images; before it is enlarged, the map and the shares of class tokens and
        registers sum to 1. For embeddings (batch, token, dimension) that are the tokens, each token's share in equal
        parts for its dimensions.

    Raises:
        ModelError: the model has no attention among all of its tokens (networks of convolutions, windows as in Swin),
            or the layout of the tokens does not show.

    Differs from the paper: it takes one token's row; here that is the row that the logits read, or a mean of several.
    """

    layout: str | Tokens = "auto"
    title = "Attention Rollout"

    def __post_init__(self) -> None:
        if not isinstance(as_layout(self.layout), Tokens | None):
            raise InvalidInput(f"layout {self.layout!r} holds no tokens; give one such as tokens:1:14x14, or auto")

    def resolve(self, prepared: PreparedModel, images: Tensor) -> "AttentionRollout":
        """This method with the layout, where the forward pass shows one alone."""
        layouts = self._layouts(prepared, images)
        return replace(self, layout=next(iter(layouts))) if len(layouts) == 1 else self

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        if not 3 <= images.ndim <= 5:
            raise InvalidInput(
                f"{self.title} needs images with one to three axes of space, such as (batch, channel, height, width), "
                f"or embeddings (batch, token, dimension), got {tuple(images.shape)}"
            )
        layouts, name = self._layouts(prepared, images), prepared.name
        return Request(lambda at: self.value(at, layouts, name), frozenset({ATTENTION}))

    def value(self, at: Evaluation, layouts: frozenset[Tokens], name: str) -> Float[Tensor, "rows #channel *space"]:
        """The map of each row."""
        weights, read = at.attention
        identity = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
        share = read[:, None]  # (rows, 1, token)
        for layer in reversed(weights.unbind(1)):
            mixed = layer / 2 + identity / 2
            share = share @ (mixed / mixed.sum(-1, keepdim=True))
        shape, tokens = at.points.shape, weights.shape[-1]
        if self.layout == "auto" and len(shape) == 3 and shape[1] == tokens:
            return share.mT.expand(shape) / shape[2]
        places = channels_first(share.mT, _fitting(layouts, tokens, len(shape) - 2, name))
        return enlarge(places, shape[2:])

    def _layouts(self, prepared: PreparedModel, images: Tensor) -> frozenset[Tokens]:
        given = as_layout(self.layout)
        return frozenset({given}) if isinstance(given, Tokens) else token_layouts(prepared, images)


def _fitting(layouts: frozenset[Tokens], tokens: int, axes: int, name: str) -> Tokens:
    """The layout of so many tokens over so many axes of space; ModelError where it is not one."""
    fitting = [each for each in layouts if each.count == tokens and len(each.grid) == axes]
    if len(fitting) != 1:
        seen = ", ".join(sorted(map(str, fitting or layouts))) or "no tokens of places"
        raise ModelError(
            f"the attention of {name} is among {tokens} tokens, whose places in the image do not show (seen: {seen}); "
            "give layout=Tokens(prefix, grid)"
        )
    return fitting[0]
