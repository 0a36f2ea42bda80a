"""Backward rules, and the forward pass that prepares the backward passes of several rules at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd.graph import Node

from probatum.engine.calls import Call, CallMode


class Backward(NamedTuple):
    """The signal that a rule passes on to one argument of a call.

    Args:
        argument: the tensor whose signal is replaced.
        passed_on: (autograd's own gradient of the argument, the signal that arrives at the result) -> the signal that
            the argument gets.
    """

    argument: Tensor
    passed_on: Callable[[Tensor, Tensor], Tensor]


class RulePass(ABC):
    """State of a rule during one forward pass."""

    @abstractmethod
    def before(self, call: Call) -> tuple[Backward, ...]:
        """Looks at a call before it is made and says what to replace there; nothing leaves the call alone."""

    @abstractmethod
    def after(self, call: Call, result: Any, replaced: bool) -> None:
        """Looks at the result of a call.

        Args:
            call: as `before` saw it.
            result: what the call returned.
            replaced: whether what `before` asked for is in the graph; it cannot be where autograd sees no single
                operation.
        """

    @abstractmethod
    def require(self, model_name: str) -> None:
        """Raises ModelError where the rule has not done, in the backward pass, what its name promises."""


class BackwardRule(ABC):
    """A change of the backward pass at some calls of the forward pass.

    Subclasses are frozen dataclasses: equal rules of several methods share one backward pass.
    """

    @abstractmethod
    def begin(self) -> RulePass:
        """Empty state for one forward pass."""


class RuledPass(CallMode):
    """A forward pass whose graph serves a plain backward pass, and one under each of several rules.

    The mode is entered for the forward pass alone. It hooks the node of each call that a rule wants to change. Backward
    passes through that graph are plain, or follow a rule inside `backward(rule, ...)`.

    An in-place call overwrites its input: what reads that tensor afterwards reads the call's output, and its gradient
    passes through the hook. A full backward hook of a module (`register_full_backward_hook`) sees the same gradients,
    but modules only, and it copies tensors at each call.
    """

    def __init__(self, rules: Iterable[BackwardRule]) -> None:
        super().__init__()
        self._passes = {rule: rule.begin() for rule in rules}
        self._active: BackwardRule | None = None

    def backward(self, rule: BackwardRule, gradient: Callable[[], Any]) -> Any:
        """Runs a backward pass under a rule and returns what it returns."""
        self._active = rule
        try:
            return gradient()
        finally:
            self._active = None

    def of(self, rule: BackwardRule) -> RulePass:
        """State of a rule in this forward pass."""
        return self._passes[rule]

    def intercept(self, call: Call) -> Any:
        """Makes the call, and hooks its node where a rule wants to change the signal there."""
        wanted = {rule: each.before(call) for rule, each in self._passes.items()}
        if not any(wanted.values()):
            result, replaced = call.make(), False
        else:
            result, replaced = self._hooked(call, {rule: places for rule, places in wanted.items() if places})
        for rule, each in self._passes.items():
            each.after(call, result, replaced and bool(wanted[rule]))
        return result

    def _hooked(self, call: Call, wanted: dict[BackwardRule, tuple[Backward, ...]]) -> tuple[Any, bool]:
        """The result of a call, and whether its node was hooked."""
        edges = {id(each.argument): _edge(each.argument) for places in wanted.values() for each in places}
        # A part of another tensor has no node of its own for a call in place, so its result is written back.
        part = call.args[0] if call.in_place and call.args[0]._is_view() else None
        if part is not None:
            call = call._replace(args=(part.clone(), *call.args[1:]))
            edges[id(part)] = _edge(call.args[0])
        result = call.make()
        made = call.args[0] if call.in_place else result
        replaced = isinstance(made, Tensor) and made.grad_fn is not None and self._hook(made.grad_fn, edges, wanted)
        return (result, replaced) if part is None else (part.copy_(made), replaced)

    def _hook(self, node: Node, edges: dict[int, Any], wanted: dict[BackwardRule, tuple[Backward, ...]]) -> bool:
        """Hooks a node, if it is that of the call: its arguments are those whose signals are to be replaced."""
        following = list(node.next_functions)
        if any(edge not in following for edge in edges.values()):
            return False
        places = {
            rule: [(following.index(edges[id(each.argument)]), each.passed_on) for each in backward]
            for rule, backward in wanted.items()
        }

        def replace(inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...]) -> tuple[Tensor | None, ...] | None:
            if self._active not in places:
                return None
            signals = list(inputs)
            for place, passed_on in places[self._active]:
                plain = signals[place]
                if plain is not None:  # as it is where nothing arrives from above
                    signals[place] = passed_on(plain, outputs[0])
            return tuple(signals)

        node.register_hook(replace)
        return True


def _edge(tensor: Tensor) -> tuple[Node | None, int]:
    """Where the gradient of a tensor arrives, as `Node.next_functions` writes it."""
    return tensor.grad_fn, tensor.output_nr
