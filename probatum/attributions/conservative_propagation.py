"""Conservative propagation: the input times a gradient that holds attention weights, norms and gates constant."""

from dataclasses import dataclass

from torch import Tensor

from probatum.attributions.base import Method
from probatum.engine import ConstantsHeld, Evaluation, InputGradient, PreparedModel, Request

_RULE = ConstantsHeld()


@dataclass(frozen=True)
class ConservativePropagation(Method):
    """The input times the gradient of a network in which weights of averages, denominators and gates are constants.

        M(x) = x ⊙ R,   R = ∂ S_c(x) / ∂ x   with attention weights, σ of layer norms and gates held constant

    An activation g passes g(x) / x in place of its derivative, a product of two tensors that depend on the input half
    of the signal to either; linear layers, convolutions, pooling and batch norm pass their gradients. The network is
    then affine in x, and with all biases and other additive constants b

        S_c(x) = Σ x ⊙ R + Σ_b b · ∂ S_c / ∂ b,

    which is computed with every map: maps that miss it by more than rounding are refused. Where the biases have the
    larger part, maps explain the smaller one; the part is S_c(x) − Σ M(x). Meant for transformers (attention, layer and
    RMS norm, GELU, SiLU); on a ReLU network it is Input × Gradient.

    Source: Ali, Schnake, Eberle, Montavon, Müller & Wolf (2022), arXiv:2202.07304, for attention and norms; Achtibat et
    al. (2024), arXiv:2402.05602, for activations and products; Srinivas & Fleuret (2019), arXiv:1905.00780, for the
    sum over biases.

    Args:
        multiply_by_inputs: True is the global variant above; False the local one, R itself.

    Raises:
        ModelError: a call between the input and the logits has no rule, or the sum above does not come out.

    Differs from the papers:
        1. Ali et al. keep the derivatives of GELU and tanh; here they pass g(x) / x, as in Achtibat et al.
        2. Achtibat et al. propagate through the softmax of attention weights and share the product of weights and
           values by halves; here the weights are constants and the values get all of it.
        3. Achtibat et al. share what arrives at a linear layer in the ratio of its products, with a stabilizer ε and
           without its bias. Here nothing is divided, and each bias takes its own part.
        4. Srinivas & Fleuret show the biases' parts as maps; here they are summed, for the check.
        5. A gate, such as the sigmoid of squeeze-and-excitation, is held constant like an attention weight.
    """

    multiply_by_inputs: bool = True
    title = "Conservative Propagation"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        return Request(self.value, frozenset({InputGradient(_RULE)}))

    def value(self, at: Evaluation) -> Tensor:
        """The product x ⊙ R; under SmoothGrad, x is the noisy image."""
        signal = at.gradient_under(_RULE)
        return at.points * signal if self.multiply_by_inputs else signal
