"""Buffers that a model computes from its weights, and that must be recomputed when these are re-drawn.

Singular vectors of both forms of torch's spectral norm, and plain copies of a parameter, are recomputed. A buffer that
depends on a weight in another way cannot be, so it raises ModelError. Running statistics of batch norms come from data;
the randomizer's `batch_norm` option covers them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm

from probatum.errors import ModelError
from probatum.randomization.stages import STATISTICS

_FEWEST = 8  # minimum values in a row; shorter rows may be proportional by chance
_ALIKE = 1 - 1e-5  # correlation of two rows above which one is computed from the other


@dataclass(frozen=True)
class _SpectralVectors:
    """The power iteration's estimate (u, v) of a weight's first pair of singular vectors.

    Args:
        names: of the buffers u and v.
        sources: the parameters from which the weight is computed.
        path: of the normalizing module: a parametrization, or the layer itself in torch's older form.
    """

    names: tuple[str, str]
    sources: tuple[str, ...]
    path: str

    def recompute(self, model: nn.Module) -> None:
        """Set both vectors to those of the current weight, so that its spectral norm becomes 1."""
        matrix = self._matrix(model).double()
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        for name, vector in zip(self.names, (left[:, 0], right[0]), strict=True):
            model.get_buffer(name).copy_(vector)

    def _matrix(self, model: nn.Module) -> Tensor:
        """Return the weight before normalization, as the matrix whose norm is taken."""
        module = model.get_submodule(self.path)
        if not isinstance(module, _SpectralNorm):
            hook = next(hook for hook in module._forward_pre_hooks.values() if isinstance(hook, SpectralNorm))
            return hook.reshape_weight_to_matrix(model.get_parameter(self.sources[0]))
        owner = model.get_submodule(self.path.rpartition(".")[0])
        values: tuple[Tensor, ...] = tuple(model.get_parameter(source) for source in self.sources)
        for parametrization in owner.children():
            if parametrization is module:
                break
            values = (parametrization(*values),)
        return module._reshape_weight_to_matrix(values[0])


@dataclass(frozen=True)
class _Copy:
    """A buffer with the values of a parameter."""

    names: tuple[str]
    sources: tuple[str]

    def recompute(self, model: nn.Module) -> None:
        """Copy the parameter again."""
        model.get_buffer(self.names[0]).copy_(model.get_parameter(self.sources[0]))


Derived = _SpectralVectors | _Copy


def derived_buffers(model: nn.Module) -> tuple[Derived, ...]:
    """Find the buffers that are computed from weights and can be recomputed.

    Raises:
        ModelError: a buffer depends on a weight in another way: state of a parametrization, singular vectors of a
            weight, or rows that are a multiple of a weight's rows plus a constant.
    """
    found: list[Derived] = list(_spectral_vectors(model))
    known = {name for each in found for name in each.names}
    with torch.no_grad():
        for path, module in model.named_modules():
            for local, buffer in module.named_buffers(recurse=False):
                name = f"{path}.{local}" if path else local
                if name in known or local in STATISTICS or not buffer.is_floating_point() or buffer.numel() < _FEWEST:
                    continue
                copied = _compare(model, path, name, buffer)
                if copied is not None:
                    found.append(copied)
    return tuple(found)


def _spectral_vectors(model: nn.Module) -> Iterator[_SpectralVectors]:
    for path, module in model.named_modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):
                weight = f"{path}.{hook.name}" if path else hook.name
                yield _SpectralVectors((f"{weight}_u", f"{weight}_v"), (f"{weight}_orig",), path)
        if isinstance(module, ParametrizationList):
            sources = tuple(f"{path}.{local}" for local, _ in module.named_parameters(recurse=False))
            for local, child in module.named_children():
                if isinstance(child, _SpectralNorm) and hasattr(child, "_u"):  # a vector is normalized by its length
                    yield _SpectralVectors((f"{path}.{local}._u", f"{path}.{local}._v"), sources, f"{path}.{local}")


def _compare(model: nn.Module, path: str, name: str, buffer: Tensor) -> _Copy | None:
    """Compare a buffer with the weights; return the parameter it copies, or None if it is independent of them."""
    if ".parametrizations." in f".{path}.":
        raise _refusal(model, name, "is state of a parametrization")
    for parameter_name, parameter in model.named_parameters():
        if not parameter.is_floating_point() or parameter.device != buffer.device:
            continue
        if parameter.shape == buffer.shape:
            if _constant(buffer):
                continue
            if torch.equal(parameter, buffer.to(parameter.dtype)):
                return _Copy((name,), (parameter_name,))
            if _rows_alike(parameter, buffer):
                raise _refusal(model, name, f"is computed from {parameter_name}")
        if parameter_name.rpartition(".")[0] == path and _is_singular_vector(parameter, buffer):
            raise _refusal(model, name, f"is a singular vector of {parameter_name}")
    return None


def _refusal(model: nn.Module, name: str, what: str) -> ModelError:
    return ModelError(
        f"buffer {name} of {type(model).__name__} {what} and would keep its trained values; "
        "compute it in the forward pass, or remove the parametrization (parametrize.remove_parametrizations)"
    )


def _constant(values: Tensor) -> bool:
    return bool(values.amin() == values.amax())


def _rows_alike(parameter: Tensor, buffer: Tensor) -> bool:
    """Return True if each row of the buffer is a multiple of the parameter's row plus a constant."""
    a, b = (each.double().reshape(len(each) if each.ndim > 1 else 1, -1) for each in (parameter, buffer))
    if a.shape[1] < _FEWEST:
        return False
    a, b = (each - each.mean(1, keepdim=True) for each in (a, b))
    sizes = a.norm(dim=1) * b.norm(dim=1)
    return bool((sizes > 0).any()) and bool(((a * b).sum(1).abs() >= _ALIKE * sizes).all())


def _is_singular_vector(parameter: Tensor, buffer: Tensor) -> bool:
    """Return True if a vector of length 1 is an eigenvector of W Wᵀ or Wᵀ W."""
    if parameter.ndim < 2 or buffer.ndim != 1 or abs(float(buffer.norm()) - 1) > 1e-3:
        return False
    matrix, vector = parameter.double().flatten(1), buffer.double()
    for each in (matrix, matrix.T):
        if len(each) == len(vector):
            image = each @ (each.T @ vector)
            if float(image @ vector) >= 0.99 * float(image.norm()) > 0:
                return True
    return False
