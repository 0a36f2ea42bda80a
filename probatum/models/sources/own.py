"""Models of a user's own code, by the name of a module instance or of a function that makes one."""

import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from probatum.engine import copy_model
from probatum.errors import InvalidInput, ModelError
from probatum.imports import described, import_module_of, import_object
from probatum.models.seeding import seeded
from probatum.models.sources.base import Source
from probatum.models.sources.inputs import read_preprocessing
from probatum.models.spec import ModelSpec


@dataclass(frozen=True)
class OwnSource(Source):
    """An object of a user's module: an `nn.Module`, or a class or function without required arguments that makes one.

    The module may define `preprocessing` (see `read_preprocessing`) and `class_names`, a list.

    Args:
        path: `package.module:name` or `./file.py:name`; importing it runs its code.
    """

    path: str
    own_code: ClassVar[bool] = True

    @cached_property
    def _object(self) -> Any:
        with seeded(0):  # for weights that are drawn while the module is imported
            return import_object(self.path)

    @cached_property
    def spec(self) -> ModelSpec:
        """Metadata as far as the module defines it."""
        maker, module = self._object, import_module_of(self.path)
        where, _, name = self.path.rpartition(":")
        title = f"{Path(where).name}:{name}"
        preprocessing = getattr(maker, "preprocessing", getattr(module, "preprocessing", None))
        class_names = getattr(maker, "class_names", getattr(module, "class_names", None))
        return ModelSpec(
            name=self.path,
            title=title,
            preprocessing=None if preprocessing is None else read_preprocessing(preprocessing, title),
            num_classes=None,
            where=where,
            class_names=None if class_names is None else tuple(map(str, class_names)),
        )

    @property
    def resizable(self) -> bool:
        """True if the class or function has a parameter `num_classes`."""
        return not isinstance(self._object, nn.Module) and "num_classes" in _parameters(self._object)

    def build(self, num_classes: int | None = None, *, initialize: bool = True) -> nn.Module:
        """Make the module, or copy the instance.

        Raises:
            InvalidInput: the object is neither, needs arguments, or makes something else.
            ModelError: the module needs more than one input.
        """
        if num_classes is not None and not self.resizable:
            raise InvalidInput(f"{self.path} has no parameter num_classes; its number of classes cannot be changed")
        if isinstance(self._object, nn.Module):
            model: Any = copy_model(self._object, own=lambda name: True)
        else:
            model = self._call({} if num_classes is None else {"num_classes": num_classes})
        if not isinstance(model, nn.Module):
            raise InvalidInput(f"{self.path} makes an object of type {type(model).__name__}, not a torch.nn.Module")
        inputs = [name for name, parameter in _parameters(model.forward).items() if _is_required(parameter)]
        if len(inputs) > 1:
            raise ModelError(
                f"{self.path} needs {len(inputs)} inputs ({', '.join(inputs)}); name a module that takes images alone, "
                "or give the others from Python: attribute(model, images, ..., extra=...)"
            )
        return model

    def load_default(self, num_classes: int | None = None) -> nn.Module:
        """Make the module with the weights that its code gives it."""
        return self.build(num_classes)

    def _call(self, options: dict[str, Any]) -> Any:
        if not callable(self._object):
            raise InvalidInput(
                f"{self.path} is of type {type(self._object).__name__}; name a torch.nn.Module or what makes one"
            )
        needed = [
            name
            for name, parameter in _parameters(self._object).items()
            if _is_required(parameter) and name not in options
        ]
        if needed:
            raise InvalidInput(
                f"{self.path} needs the arguments {', '.join(needed)}; name a function without required arguments"
            )
        try:
            return self._object(**options)
        except Exception as error:
            raise InvalidInput(f"{self.path} fails: {described(error)}") from error


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # of C
        return {}


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )
