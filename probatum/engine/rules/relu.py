"""Rules at every ReLU call of a forward pass, however the model spells it, and the count of what they reached."""

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from probatum.engine.calls import Call, tensors_in
from probatum.engine.rules.base import BackwardRule, RulePass
from probatum.engine.rules.hooks import Backward
from probatum.engine.rules.rectifiers import Rectifier, RectifierFinder
from probatum.errors import InvalidInput, ModelError

__all__ = ["ReLUCoverage", "ReLURule", "Rectifier"]

# Activations without a rule: they pass autograd's own gradient.
_OTHERS = {
    *("relu6", "hardtanh", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish"),
    *("softplus", "threshold", "rnn_relu", "rnn_relu_cell"),
}


@dataclass(frozen=True)
class ReLUCoverage:
    """How many of the activations between the image and the logits a rule changed.

    Activations that see only weights, or that the logits do not depend on, take no part.

    Args:
        guided: calls of ReLUs of any kind whose backward pass followed the rule: module, functional, method, in-place,
            reused; also those with a ceiling, such as ReLU6.
        others: calls of activations for which there is no rule and which passed the plain gradient, by name.
        hidden: calls of ReLUs that autograd does not see and that no rule can change, by name: under `no_grad`, behind
            `detach`, or inside a custom autograd function.
    """

    guided: int
    others: dict[str, int] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All activations that took part."""
        return self.guided + sum(self.others.values()) + sum(self.hidden.values())

    @property
    def share(self) -> float:
        """The share of the activations that followed the rule, 0 to 1; 0 where there are none."""
        return self.guided / max(self.total, 1)

    def __str__(self) -> str:
        if self.total == 0:
            return "no ReLU calls"
        if self.guided == self.total:
            return f"{self.guided} of {self.guided} ReLU calls guided"
        return f"{self.guided} of {self.total} activations guided ({self.share:.0%}); not guided: {self._unguided()}"

    def _unguided(self) -> str:
        words = [f"{count} {name}" for name, count in self.others.items()]
        return ", ".join(words + [f"{count} {name} hidden from autograd" for name, count in self.hidden.items()])

    def require(self, model_name: str, method: str, least: float) -> None:
        """Raises ModelError where the map would be the plain gradient, in whole or in large part, under another name.

        Args:
            model_name: for the message.
            method: likewise.
            least: the least share; with more than 0, hidden ReLUs are refused, too.
        """
        if self.guided == 0:
            raise ModelError(
                f"{model_name} makes no ReLU call that can be guided (found: {self._unguided() or 'no activation'}); "
                f"{method} is defined for ReLU networks, so use another method"
            )
        if self.hidden and least > 0:
            raise ModelError(
                f"{method} cannot reach every ReLU of {model_name}: {self}; let the model call torch.relu where "
                "gradients are enabled, use another method, or set min_coverage=0 to let them pass the plain gradient"
            )
        if self.share < least:
            raise ModelError(
                f"{method} would be mostly the plain gradient on {model_name}: {self}; use another method, or set "
                f"min_coverage to at most {math.floor(100 * self.share) / 100:g}"
            )


@dataclass(frozen=True)
class ReLURule(BackwardRule):
    """A rule at each ReLU that the image reaches.

    Args:
        min_coverage: the least share of the activations that must follow the rule, 0 to 1; others, such as SiLU, pass
            the plain gradient. 0 takes any network that has a ReLU, also one with ReLUs that autograd does not see.

    Raises (in a backward pass):
        ModelError: the model has no ReLU, hides one from autograd, or the rule reaches too few activations.
    """

    min_coverage: float = 0.5
    title: ClassVar[str]

    def __post_init__(self) -> None:
        if not 0 <= self.min_coverage <= 1:
            raise InvalidInput(f"min_coverage is a share from 0 to 1, got {self.min_coverage}")

    @abstractmethod
    def passed_on(self, rectifier: Rectifier) -> Callable[[Tensor, Tensor], Tensor]:
        """The rule at one ReLU: (autograd's gradient, which may be overwritten; arriving signal) -> signal."""

    def begin(self) -> "ReLUPass":
        """No ReLU seen."""
        return ReLUPass(self)


class ReLUPass(RulePass):
    """The ReLUs of one forward pass and what became of them in the backward pass.

    Args:
        rule: at each of them.
    """

    def __init__(self, rule: ReLURule) -> None:
        self._rule = rule
        self._finder = RectifierFinder()
        self._rectifier: Rectifier | None = None  # of the call that is being made
        # What depends on the image although autograd does not know: under no_grad, behind detach.
        self._untracked: WeakValueDictionary[int, Tensor] = WeakValueDictionary()
        self._number = 0
        self._guided: set[int] = set()
        self._plain: dict[int, str] = {}
        self._unhooked: Counter[str] = Counter()
        self._hidden: Counter[str] = Counter()

    @property
    def coverage(self) -> ReLUCoverage:
        """Coverage of the backward pass."""
        others = Counter(name for _, name in sorted(self._plain.items())) + self._unhooked
        return ReLUCoverage(len(self._guided), dict(others), dict(+self._hidden))

    def require(self, model_name: str) -> None:
        """Raises ModelError where the rule reached too little."""
        self.coverage.require(model_name, self._rule.title, self._rule.min_coverage)

    def before(self, call: Call) -> tuple[Backward, ...]:
        """Replaces the signal at ReLUs and counts other activations in passing."""
        self._rectifier = self._finder.find(call)
        if self._rectifier is not None:
            x = self._rectifier.x
            return (Backward(x, self._follow(self._rectifier)),) if x.requires_grad else ()
        if call.name in _OTHERS and self._differentiable(call):
            return (Backward(call.args[0], self._count(call.name)),)
        return ()

    def after(self, call: Call, result: Any, replaced: bool) -> None:
        """Notes what could not be reached."""
        rectifier, self._rectifier = self._rectifier, None
        if not replaced:
            if rectifier is not None:
                self._hidden[call.name] += rectifier.x.is_floating_point() and self._reached(rectifier.x)
            elif call.name in _OTHERS:
                self._unhooked[call.name] += self._differentiable(call)
        if isinstance(result, Tensor) and result.requires_grad:
            return
        self._finder.note(call, result)
        made = [each for each in tensors_in([result, *call.args[: call.in_place]]) if not each.requires_grad]
        if made and any(map(self._reached, call.tensors())):
            self._untracked.update((id(each), each) for each in made)

    def _differentiable(self, call: Call) -> bool:
        return torch.is_grad_enabled() and bool(call.args) and bool(call.args[0].requires_grad)

    def _reached(self, tensor: Tensor) -> bool:
        """True if a tensor depends on the image; the model's weights are frozen and require no gradient."""
        return tensor.requires_grad or self._untracked.get(id(tensor)) is tensor

    def _follow(self, rectifier: Rectifier) -> Callable[[Tensor, Tensor], Tensor]:
        self._number += 1
        number, passed_on = self._number, self._rule.passed_on(rectifier)

        def follow(gradient: Tensor, arriving: Tensor) -> Tensor:
            self._guided.add(number)
            return passed_on(gradient, arriving)

        return follow

    def _count(self, name: str) -> Callable[[Tensor, Tensor], Tensor]:
        self._number += 1
        number = self._number

        def count(gradient: Tensor, arriving: Tensor) -> Tensor:
            self._plain[number] = name
            return gradient

        return count
