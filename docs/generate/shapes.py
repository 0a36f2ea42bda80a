"""A Griffe extension for what it misreads: shapes such as `Float[Tensor, "rows *shape"]`, and named tuples."""

import ast
from typing import Any

import griffe

_JAXTYPING = {"Float", "Float32", "Float64", "Int", "Int64", "UInt8", "Bool", "Integer", "Num", "Shaped"}


def _has_shape(annotation: ast.expr | None) -> bool:
    parts = () if annotation is None else ast.walk(annotation)
    return any(isinstance(p, ast.Subscript) and getattr(p.value, "id", None) in _JAXTYPING for p in parts)


class Shapes(griffe.Extension):
    """Reads annotations that hold a shape once more, as strings; gives named tuples the parameters of their fields."""

    def on_function_instance(self, *, node: Any, func: griffe.Function, **_: Any) -> None:
        """Parameters and result of a function."""
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in arguments:
            if _has_shape(argument.annotation):
                func.parameters[argument.arg].annotation = self._read(argument.annotation, func)
        if _has_shape(node.returns):
            func.returns = self._read(node.returns, func)

    def on_attribute_instance(self, *, node: Any, attr: griffe.Attribute, **_: Any) -> None:
        """Fields of a dataclass, and properties."""
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if _has_shape(annotation):
            attr.annotation = self._read(annotation, attr)

    def on_class_members(self, *, node: Any, cls: griffe.Class, **_: Any) -> None:
        """The constructor of a named tuple."""
        if not any(getattr(base, "id", None) == "NamedTuple" for base in node.bases):
            return
        kind = griffe.ParameterKind.positional_or_keyword
        fields = [
            griffe.Parameter(field.name, annotation=field.annotation, default=field.value, kind=kind)
            for field in cls.attributes.values()
            if field.annotation is not None and "property" not in field.labels
        ]
        parameters = griffe.Parameters(griffe.Parameter("self", kind=kind), *fields)
        cls.set_member("__init__", griffe.Function("__init__", parameters=parameters, lineno=cls.lineno))

    @staticmethod
    def _read(annotation: ast.expr, owner: griffe.Object) -> griffe.Expr | None:
        return griffe.get_expression(annotation, parent=owner.parent, parse_strings=False)  # type: ignore[arg-type]
