"""The layers that Grad-CAM reads, for the captions of figures: a map cannot be understood without its layer."""

from collections.abc import Iterable, Mapping
from typing import Any

from probatum.report.html.words import settings


def layers_caption(methods: Iterable[Mapping[str, Any]]) -> str:
    """Names the layers whose output methods read, with the layout: "Grad-CAM's layer: layer4.1 (nchw)".

    Args:
        methods: their settings as `config.json` records them.

    Returns:
        each layer once; an empty text where no method reads one.
    """
    layers = dict.fromkeys(filter(None, map(_layer, methods)))
    return f"Grad-CAM's layer: {', '.join(layers)}" if layers else ""


def _layer(facts: Mapping[str, Any]) -> str:
    """The layer and layout of a method, or of the method that SmoothGrad averages."""
    layer, layout, inner = (facts.get(name) for name in ("layer", "layout", "method"))
    if layer is None:
        return _layer(inner) if isinstance(inner, Mapping) else ""
    shown = settings(dict(layout)) if isinstance(layout, Mapping) else layout
    return f"{layer} ({shown})" if shown else str(layer)
