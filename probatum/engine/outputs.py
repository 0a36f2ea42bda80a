"""The logits among what a model returns: a tensor, a tuple, a dict, an output of Hugging Face, a map of each class."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import ModelError

Output: TypeAlias = Callable[[Any], Tensor] | str | int
"""Where the logits are: a function of what the model returns, or a key, attribute or index there."""

_ADVICE = (
    "say where the logits are by output=: a key such as 'logits', an index, or a function such as "
    "lambda y: y['map'].mean((2, 3)). Commands take a key or index as --output"
)


def find_logits(answer: Any, output: Output | None, name: str) -> Tensor:
    """The tensor of logits in what a model returned, in whatever shape it has.

    Without `output` it is the answer itself, its `logits` (attribute or key), the only tensor of a dict, or the first
    of a tuple or list.

    Args:
        answer: what the model returned.
        output: where the logits are, or None.
        name: of the model, for messages.

    Raises:
        ModelError: there is no such tensor.
    """
    found = _default(answer) if output is None else _chosen(answer, output)
    if not isinstance(found, Tensor):
        asked = "" if output is None else f", and output={output!r} gives no tensor of it"
        raise ModelError(f"{name} returns {_described(answer)}{asked}; {_ADVICE}")
    return found


def class_logits(logits: Tensor, rows: int, name: str) -> Float[Tensor, "rows classes"]:
    """Logits as one vector a row: a single logit f becomes the two logits (−f, f) of classes 0 and 1.

    So class 1 has the gradient of f and class 0 its negative, and f > 0 predicts class 1.

    Raises:
        ModelError: they are neither (rows, classes) nor (rows,).
    """
    if logits.ndim == 1 and len(logits) == rows:
        logits = logits[:, None]
    if logits.ndim != 2 or len(logits) != rows:
        of_tokens = "; hidden states need a head of classes, and one vector for all tokens" if logits.ndim == 3 else ""
        raise ModelError(
            f"{name} returns shape {tuple(logits.shape)} for {rows} images; probatum needs (batch, classes) logits: "
            f"{_ADVICE}{of_tokens}"
        )
    return torch.cat([-logits, logits], 1) if logits.shape[1] == 1 else logits


def _default(answer: Any) -> Any:
    if isinstance(answer, Tensor):
        return answer
    if isinstance(logits := getattr(answer, "logits", None), Tensor):
        return logits
    if isinstance(answer, Mapping):
        tensors = [value for value in answer.values() if isinstance(value, Tensor)]
        return answer.get("logits", tensors[0] if len(tensors) == 1 else None)
    if isinstance(answer, (tuple, list)):
        return next((value for value in answer if isinstance(value, Tensor)), None)
    return None


def _chosen(answer: Any, output: Output) -> Any:
    if callable(output):
        return output(answer)
    if isinstance(output, str) and not isinstance(answer, Mapping):
        return getattr(answer, output, None)
    try:
        return answer[output]
    except (LookupError, TypeError):
        return None


def _described(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return f"a {type(answer).__name__} with the keys {', '.join(map(str, answer))}"
    if isinstance(answer, (tuple, list)):
        return f"a {type(answer).__name__} of {', '.join(type(value).__name__ for value in answer)}"
    return f"a {type(answer).__name__}"
