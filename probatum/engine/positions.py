"""The learned positions of a transformer, beyond which it takes no tokens and no larger images."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from probatum.errors import InvalidInput, ProbatumError

_TABLES = {"position_embeddings", "embed_positions", "wpe"}  # as transformers spells them

_POSITIONS = re.compile(r"(?<![a-z])pos(ition|itions|itional|embed)?(?![a-z])")  # in names of parameters
_OF_SIZES = re.compile(r"match|image (size|height|width)")  # in errors about inputs of another size


def most_tokens(model: nn.Module) -> int | None:
    """The number of tokens that the tables of learned positions in a model suffice for; None where it has none."""
    return min(map(_positions, _tables(model)), default=None)


def require_positions(model: nn.Module, images: Tensor, name: str) -> None:
    """Raises InvalidInput where (batch, tokens, dimensions) embeddings of words have more tokens than positions."""
    if images.ndim != 3:
        return
    widths = [each.embedding_dim for each in model.modules() if isinstance(each, nn.Embedding)]
    tokens, width = images.shape[1:]
    limit = most_tokens(model)
    of_words = widths.count(width) > 1 and all(each.embedding_dim == width for each in _tables(model))
    if of_words and limit is not None and tokens > limit:
        raise InvalidInput(f"the inputs have {tokens} tokens; {name} has positions for {limit}: shorten them")


@contextmanager
def checked_tables(model: nn.Module, shape: Sequence[int], name: str) -> Iterator[None]:
    """Raises InvalidInput where a forward pass inside the block asks an embedding for a row that it does not have.

    On CUDA, such a request would end the process's use of the device.

    Args:
        model: whose `nn.Embedding` modules are checked.
        shape: of one input, for the message.
        name: of the model.
    """

    def check(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        rows, table = inputs[0], cast(nn.Embedding, module).weight
        with torch._C.DisableTorchFunction():  # this is no call of the model
            highest = int(rows.max()) if isinstance(rows, Tensor) and rows.numel() else 0
        if highest >= len(table):
            path = next(path for path, each in model.named_modules() if each is module)
            raise InvalidInput(
                f"{path!r} of {name} has {len(table)} rows and is asked for row {highest} by inputs of shape "
                f"{tuple(shape)}: give shorter inputs, or a model with a longer table"
            )

    tables = [each for each in model.modules() if isinstance(each, nn.Embedding)]
    handles = [each.register_forward_pre_hook(check) for each in tables]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def misfit(model: nn.Module, shape: Sequence[int], name: str, error: Exception) -> InvalidInput | None:
    """The error for inputs whose size a model with positions refuses; None for other models and other errors.

    Args:
        model: whose forward pass raised an error.
        shape: of one input.
        name: of the model.
        error: as it was raised.
    """
    if isinstance(error, ProbatumError) or not isinstance(error, (AssertionError, ValueError, RuntimeError)):
        return None
    named = [path for path, _ in [*model.named_parameters(), *model.named_buffers()] if _POSITIONS.search(path)]
    reason = next(iter(str(error).splitlines()), "").rstrip(".!")
    if not named or "channels" in reason or not _OF_SIZES.search(reason):
        return None
    return InvalidInput(
        f"inputs of shape {tuple(shape)} do not fit the positions of {name} ({named[0]}): {reason}; resize the "
        "inputs, or make the model for their size (img_size= in timm, image_size= in torchvision and Hugging Face)"
    )


def _tables(model: nn.Module) -> list[nn.Embedding]:
    named = [(path.rpartition(".")[2], module) for path, module in model.named_modules()]
    return [module for last, module in named if isinstance(module, nn.Embedding) and last in _TABLES]


def _positions(table: nn.Embedding) -> int:
    """Its rows; RoBERTa's positions start after that of its padding."""
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
