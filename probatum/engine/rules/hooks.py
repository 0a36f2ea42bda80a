"""Hooks that let a backward pass do something else at one call: at its node, at its result, at its arguments."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor
from torch.autograd.graph import Node

Signals: TypeAlias = tuple[Tensor | None, ...]
Edge: TypeAlias = tuple[Node | None, int]
_Hook: TypeAlias = Callable[[Signals, Signals], Signals | None]


class Backward(NamedTuple):
    """The signal that a rule passes on to one argument of a call.

    Args:
        argument: the tensor whose signal is replaced. Where a call has it twice, the first change is for the first.
        passed_on: (autograd's own gradient of the argument, the signal that arrives at the result) -> the signal that
            the argument gets; None stops it.
        apart: whether the argument gets a node of its own in the graph. Without one, the call must be a single
            operation for autograd.
    """

    argument: Tensor
    passed_on: Callable[[Tensor, Tensor], Tensor | None]
    apart: bool = False


class Arrival(NamedTuple):
    """A look at the signal that arrives at the result of a call.

    Args:
        seen: is called with the signal; once for each tensor of the result that gets one.
    """

    seen: Callable[[Tensor], None]


class Substitute(NamedTuple):
    """Another tensor, of equal value, in the place of an argument.

    Args:
        argument: that it stands for. Where a call has it twice, the first change is for the first.
        other: what the call gets.
    """

    argument: Tensor
    other: Tensor


class MadeBy(NamedTuple):
    """Another function of the call's arguments, of equal value, whose own backward pass is the rule's.

    Args:
        function: takes the arguments of the call; not for calls in place.
    """

    function: Callable[..., Any]


Change: TypeAlias = Backward | Arrival | Substitute | MadeBy


def hook_node(node: Node, edges: Sequence[Edge], changes: Sequence[Backward], active: Callable[[], bool]) -> None:
    """Changes the signals that a call's own node passes on.

    Args:
        node: of the call.
        edges: where the gradient of each changed argument goes; all of them are among the node's.
        changes: one an edge.
        active: tells whether the backward pass that is under way follows the rule.
    """
    places: list[int] = []
    for edge in edges:
        fitting = [place for place, each in enumerate(node.next_functions) if each == edge]
        places.append(next((place for place in fitting if place not in places), fitting[0]))

    # Not the changes themselves: an argument that is overwritten in place leads back to this node, a cycle for ever.
    replacements = [change.passed_on for change in changes]

    def replace(inputs: Signals, outputs: Signals) -> Signals | None:
        if not active():
            return None
        signals = list(inputs)
        for place, passed_on in zip(places, replacements, strict=True):
            plain, arriving = signals[place], outputs[0]
            if plain is not None and arriving is not None:  # as it is where nothing arrives from above
                signals[place] = passed_on(plain, arriving)
        return tuple(signals)

    node.register_hook(replace)


class ResultHooks:
    """Looks at what arrives at the results of a call, and changes what its arguments get from there.

    Args:
        changes: with `apart` arguments, or looks at the signal.
        active: tells whether the backward pass that is under way follows the rule.
    """

    def __init__(self, changes: Sequence[Backward | Arrival], active: Callable[[], bool]) -> None:
        self._active = active
        self._looks = [each for each in changes if isinstance(each, Arrival)]
        self._changes = [each for each in changes if isinstance(each, Backward)]
        self._awaited = len(self._changes)
        self._signal: Tensor | None = None
        self._waiting = 0  # how many arguments have yet to get theirs

    def arguments(self) -> list[tuple[Tensor, Tensor]]:
        """Each argument and the tensor that takes its place in the call, with a node of its own."""
        pairs = []
        for change in self._changes:
            node = change.argument.view_as(change.argument)
            _node(node).register_hook(self._pass_on(change.passed_on))
            pairs.append((change.argument, node))
        self._changes = []  # the hooks hold this object, and an argument may lead back to their nodes
        return pairs

    def watch(self, results: Sequence[Tensor]) -> None:
        """Hooks the nodes of the results, where there is something to look at or to pass on."""
        for result in results if self._looks or self._awaited else ():
            if result.grad_fn is not None:
                result.grad_fn.register_prehook(self._arrive(result.output_nr))

    def _arrive(self, number: int) -> Callable[[Signals], None]:
        def arrive(signals: Signals) -> None:
            signal = signals[number]
            if signal is None or not self._active():
                return
            for look in self._looks:
                look.seen(signal)
            if self._awaited:
                self._signal, self._waiting = signal, self._awaited

        return arrive

    def _pass_on(self, passed_on: Callable[[Tensor, Tensor], Tensor | None]) -> _Hook:
        def pass_on(inputs: Signals, outputs: Signals) -> Signals | None:
            plain, arriving = inputs[0], self._signal
            if plain is None or arriving is None or not self._active():
                return None
            self._waiting -= 1
            if not self._waiting:  # nobody else needs it
                self._signal = None
            return (passed_on(plain, arriving),)

        return pass_on


def edge_of(tensor: Tensor) -> Edge:
    """Where the gradient of a tensor arrives, as `Node.next_functions` writes it."""
    return tensor.grad_fn, tensor.output_nr


def _node(tensor: Tensor) -> Node:
    assert tensor.grad_fn is not None, "it depends on the input"
    return tensor.grad_fn
