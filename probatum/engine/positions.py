"""The learned positions of a transformer, beyond which it takes no tokens."""

from torch import Tensor, nn

from probatum.errors import InvalidInput

_TABLES = {"position_embeddings", "embed_positions", "wpe"}  # as transformers spells them


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


def _tables(model: nn.Module) -> list[nn.Embedding]:
    named = [(path.rpartition(".")[2], module) for path, module in model.named_modules()]
    return [module for last, module in named if isinstance(module, nn.Embedding) and last in _TABLES]


def _positions(table: nn.Embedding) -> int:
    """Its rows; RoBERTa's positions start after that of its padding."""
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
