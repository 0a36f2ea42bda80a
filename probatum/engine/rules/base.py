"""Backward rules, and the forward pass that prepares the backward passes of several rules at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor

from probatum.engine.calls import Call, CallMode, tensors_in
from probatum.engine.rules.hooks import Arrival, Backward, Change, MadeBy, ResultHooks, Substitute, edge_of, hook_node
from probatum.engine.statistics import accumulation_dtype


class RulePass(ABC):
    """State of a rule during one forward pass.

    `sole` is True where no other backward pass reads the graph, so that calls may be made by other functions.
    """

    sole: bool = False

    def parts(self, call: Call) -> Callable[..., Any] | None:
        """A function that does the work of a call by several others, where the rule wants to see those instead."""
        return None

    def begin_backward(self) -> None:  # noqa: B027 as most rules have nothing to do
        """Is called before each backward pass under the rule."""

    @abstractmethod
    def before(self, call: Call) -> tuple[Change, ...]:
        """Looks at a call before it is made and says what to do there; nothing leaves the call alone."""

    @abstractmethod
    def after(self, call: Call, result: Any, replaced: bool) -> None:
        """Looks at the result of a call.

        Args:
            call: as `before` saw it.
            result: what the call returned.
            replaced: whether what `before` asked for is in the graph; it cannot be where autograd sees no single
                operation.
        """

    def leaves(self) -> list[Tensor]:
        """Tensors, put into the graph, whose gradients under the rule are wanted beside that of the points."""
        return []

    def bring(self, leaves: list[Tensor], gradients: Sequence[Tensor | None]) -> None:  # noqa: B027
        """Is handed these gradients after each backward pass under the rule; None where nothing arrives."""

    @property
    def constants(self) -> tuple[Tensor, Tensor] | None:
        """Σ b · ∂f/∂b over all additive constants b in the last backward pass, and Σ |b · ∂f/∂b|.

        A rule under which the logits f are Σ x ⊙ ∂f/∂x plus this sum has them; None stands for no such law.
        """
        return None

    @property
    def unseen(self) -> set[str]:
        """What may carry values past the rule, by name and module; only a law tells whether it does."""
        return set()

    def lacking(self, points: Tensor, signal: Tensor, logits: Tensor) -> tuple[Tensor, ...]:
        """How far the backward pass misses the rule's law of conservation, and the size of its sums; () for no law.

        One number for all rows, because rows need not lie along the first axis inside a model, where constants are
        seen. Under a rule with constants, points times signal and constants make the logits.

        Args:
            points: (rows, ...).
            signal: that the backward pass brought to the points.
            logits: of the targets, (rows,).
        """
        if self.constants is None:
            return ()
        exact = accumulation_dtype(signal.dtype)
        shares = points.to(exact) * signal
        total, size = (each.to(exact) for each in self.constants)
        delta = shares.sum() + total - logits.to(exact).sum()
        return delta, shares.abs().sum() + size + logits.to(exact).abs().sum()

    @abstractmethod
    def require(self, model_name: str) -> None:
        """Raises ModelError where the rule has not done, in the backward pass, what its name promises."""


_Hooks: TypeAlias = list[tuple[RulePass, list[Backward | Arrival]]]  # what each rule wants to hook at a call


class BackwardRule(ABC):
    """A change of the backward pass at some calls of the forward pass.

    Subclasses are frozen dataclasses: equal rules of several methods share one backward pass. `alone` is True for a
    rule that takes a forward pass of its own, because it replaces calls that other rules want to see.
    """

    alone: ClassVar[bool] = False

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

    def __init__(self, rules: Iterable[BackwardRule], *, sole: bool = False) -> None:
        super().__init__()
        self._passes = {rule: rule.begin() for rule in rules}
        for each in self._passes.values():
            each.sole = sole
        self._active: RulePass | None = None

    def backward(self, rule: BackwardRule, logits: Tensor, leaf: Tensor, *, again: bool = False) -> Tensor | None:
        """The signal that a backward pass under a rule brings to a leaf; None where nothing arrives.

        Args:
            rule: one of these.
            logits: their sum, a scalar.
            leaf: that they depend on.
            again: whether the graph is kept for another backward pass.
        """
        passed = self._passes[rule]
        passed.begin_backward()
        leaves = passed.leaves()
        self._active = passed
        try:
            signal, *others = torch.autograd.grad(logits, (leaf, *leaves), retain_graph=again, allow_unused=True)
        finally:
            self._active = None
        passed.bring(leaves, others)
        return signal

    def of(self, rule: BackwardRule) -> RulePass:
        """State of a rule in this forward pass."""
        return self._passes[rule]

    def intercept(self, call: Call) -> Any:
        """Makes the call, and hooks its node where a rule wants to change the signal there."""
        passes = self._passes.values()
        for each in passes:
            parts = each.parts(call)
            if parts is not None:
                with self:
                    return parts(*call.args, **call.kwargs)
        wanted = [(each, changes) for each in passes if (changes := each.before(call))]
        result, replaced = self._changed(call, wanted) if wanted else (call.make(), False)
        for each in passes:
            each.after(call, result, replaced and any(each is other for other, _ in wanted))
        return result

    def _changed(self, call: Call, wanted: list[tuple[RulePass, tuple[Change, ...]]]) -> tuple[Any, bool]:
        """The result of a call, made as rules want it, and whether its node was hooked where they want that."""
        hooking: _Hooks = []
        others: list[tuple[Tensor, Tensor]] = []
        function = call.function
        for passed, changes in wanted:
            hooks: list[Backward | Arrival] = []
            for each in changes:
                if isinstance(each, Substitute):
                    others.append(each)
                elif isinstance(each, MadeBy):
                    function = each.function
                else:
                    hooks.append(each)
            if hooks:
                hooking.append((passed, hooks))
        call = (
            call.with_others(others)
            if function is call.function
            else call._replace(function=function).with_others(others)
        )
        return self._hooked(call, hooking) if hooking else (call.make(), True)

    def _hooked(self, call: Call, wanted: _Hooks) -> tuple[Any, bool]:
        """The result of a call, and whether its node was hooked where a rule wants it."""
        at_node, at_result = {}, {}
        for passed, changes in wanted:
            at_node[passed] = [each for each in changes if isinstance(each, Backward) and not each.apart]
            rest = [each for each in changes if isinstance(each, Arrival) or each.apart]
            at_result[passed] = ResultHooks(rest, partial(self._follows, passed))
        apart = [pair for hooks in at_result.values() for pair in hooks.arguments()]
        call = call.with_others(apart)
        arguments = {id(argument): other for argument, other in apart}
        # A part of another tensor has no node of its own for a call in place, so its result is written back.
        part = call.args[0] if call.in_place and call.args[0]._is_view() else None
        if part is not None:
            call = call._replace(args=(part.clone(), *call.args[1:]))
            arguments[id(part)] = call.args[0]
        edges = {
            passed: [edge_of(arguments.get(id(each.argument), each.argument)) for each in changes]
            for passed, changes in at_node.items()
        }
        result = call.make()
        made = call.args[0] if call.in_place else result
        for hooks in at_result.values():
            hooks.watch(tensors_in([made]))
        node = made.grad_fn if isinstance(made, Tensor) else None
        replaced = node is not None and all(edge in node.next_functions for each in edges.values() for edge in each)
        if node is not None and replaced:
            for passed, at_arguments in at_node.items():
                hook_node(node, edges[passed], at_arguments, partial(self._follows, passed))
        return (result, replaced) if part is None else (part.copy_(made), replaced)

    def _follows(self, passed: RulePass) -> bool:
        """True during a backward pass under a rule."""
        return self._active is passed
