"""LRP: the logit, handed back layer by layer to the inputs that it was computed from."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from probatum.attributions.base import Method
from probatum.engine import (
    LOGIT,
    AlphaBeta,
    Box,
    Epsilon,
    Evaluation,
    Flat,
    Gamma,
    InputGradient,
    PreparedModel,
    RelevanceRule,
    Request,
    Targets,
    TargetsLike,
    WSquare,
    all_logits,
    prepare,
)
from probatum.errors import UnknownName

COMPOSITES: dict[str, RelevanceRule] = {
    "epsilon": RelevanceRule(Epsilon(), Epsilon()),
    "epsilon-plus": RelevanceRule(Epsilon(), AlphaBeta()),
    "epsilon-plus-flat": RelevanceRule(Epsilon(), AlphaBeta(), Flat()),
    "epsilon-plus-w2": RelevanceRule(Epsilon(), AlphaBeta(), WSquare()),
    "epsilon-alpha2-beta1": RelevanceRule(Epsilon(), AlphaBeta(2.0, 1.0)),
    "epsilon-alpha2-beta1-flat": RelevanceRule(Epsilon(), AlphaBeta(2.0, 1.0), Flat()),
    "epsilon-gamma": RelevanceRule(Epsilon(), Gamma()),
    "epsilon-gamma-box": RelevanceRule(Epsilon(), Gamma(), Box()),
}
"""Rules by kind of layer: linear layers, convolutions, the first layer."""


@dataclass(frozen=True)
class LRP(Method):
    """Layer-wise relevance propagation: each layer shares the relevance of its outputs out among its inputs.

        M(x) = R of the image, where R = S_c(x) at the logit and   R_i = Σ_j q_ij R_j,   Σ_i q_ij = 1 - absorbed

    Linear layers and convolutions have the rules of a composite. ε shares by the products a_i w_ij, γ and αβ favor or
    keep apart those that are positive, and flat, w² and z^B are for the first layer. Denominators are stabilized as
    z + ε · sign(z), sign(0) = 1, with ε = 1e-6. ReLUs and other functions of one number pass relevance on, sums and
    means share it by the summands, max-pools give it to the maximum, and a batch norm is folded into the layer before
    it. Biases, stabilizers and constants beside the input, such as padding, absorb some. Image and absorbed parts make
    S_c(x), which is checked for each model call.

    Source: Bach et al. (2015), doi:10.1371/journal.pone.0130140; composites by Montavon et al. (2019),
    doi:10.1007/978-3-030-28954-6_10, and Kohlbrenner et al. (2020), arXiv:1910.09840. LRP in the narrow sense is
    patented in some countries.

    Args:
        composite: "epsilon", "epsilon-plus", "epsilon-plus-flat", "epsilon-plus-w2", "epsilon-alpha2-beta1",
            "epsilon-alpha2-beta1-flat", "epsilon-gamma" or "epsilon-gamma-box", which name the rules of linear layers,
            of convolutions ("plus" is α = 1, β = 0; γ = 0.25) and of the first layer; or a `RelevanceRule` of your own,
            such as `RelevanceRule(Epsilon(0.1), Gamma(0.5), Box(-2.2, 2.7))`.

    Raises:
        UnknownName: no composite has the name.
        ModelError: a call has no rule (softmax, layer norm, products of two parts of the network), or the map is not
            conserved.

    Differs from the papers:
        1. Rules are chosen by the kind of layer and not by its depth.
        2. z^B takes the smallest and largest value of each image as its bounds where none are given.
        3. A batch norm with no layer directly before it passes relevance on, for each result has one input.

    Differs from Zennit: the stabilizer is the same, but a folded batch norm is the identity here. Zennit 0.5.1 leaves
        its constant in the denominator, so that each of them divides what it explains by √(1 + 1e-5).
    """

    composite: str | RelevanceRule = "epsilon-plus-flat"
    title = "LRP"

    def __post_init__(self) -> None:
        if isinstance(self.composite, str) and self.composite not in COMPOSITES:
            raise UnknownName("composite", self.composite, COMPOSITES)

    @property
    def rule(self) -> RelevanceRule:
        """The rules of the composite."""
        return COMPOSITES[self.composite] if isinstance(self.composite, str) else self.composite

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        return Request(self.value, frozenset({InputGradient(self.rule), LOGIT}))

    def absorbed(
        self,
        model: nn.Module | PreparedModel,
        images: Tensor,
        targets: TargetsLike,
        maps: Float[Tensor, "batch *shape"],
    ) -> Float[Tensor, " batch"]:
        """S_c(x) − Σ M(x): the part of each logit that biases, stabilizers and constants absorbed.

        Args:
            model: as in `attribute`, like all that follows but the maps.
            images: (batch, ...).
            targets: class indices (batch,), or one index for all.
            maps: this method's maps.
        """
        prepared = prepare(model)
        images = prepared.accept(images)
        classes = Targets.of(images, targets).classes
        logits = all_logits(prepared, images).gather(1, classes[:, None])[:, 0]
        return logits.to(maps.dtype) - maps.flatten(1).sum(1)

    def value(self, at: Evaluation) -> Tensor:
        """The relevance of each input, of which the engine carries back the part in the logit."""
        return at.logit * at.gradient_under(self.rule)
