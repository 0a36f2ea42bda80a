"""Cascading randomization of the ImageNet network, Inception v3 by its 17 blocks."""

from pathlib import Path

from matplotlib.figure import Figure

from probatum.attributions import METHODS
from probatum.maps import REDUCTIONS
from probatum.randomization import PRESETS
from probatum.report import methods_figure
from probatum.reproductions.adebayo2018.checks import draw_checks, panel, pictures_of, stored_check
from probatum.reproductions.adebayo2018.photographs import PAPER_NETWORK, imagenet_subject
from probatum.reproductions.adebayo2018.rules import PRODUCTS_KEEP, Checks, cascade_claims, control_claim, kept_more
from probatum.reproductions.adebayo2018.setting import SIZES, methods_for
from probatum.reproductions.base import Context, Inputs, write_facts
from probatum.reproductions.hatching import drawable
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import Outcome
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED


def compute(context: Context, folder: Path) -> None:
    """Check all methods on the network and the photographs, where both were given."""
    sizes = context.pick(SIZES)
    subject = imagenet_subject(context)
    if isinstance(subject, str):
        write_facts(folder, missing=subject)
        return
    protocol = (
        f"each layer's own initializer, running statistics of batch norm kept; explained is the class that the trained "
        f"network predicts{', ' + subject.values if subject.values else ''}; {sizes.photograph_points}; "
        f"preset {context.config.preset}, seed {context.config.seed}"
    )
    check = subject.name.replace(":", "-")  # which some file systems cannot hold
    stored_check(
        context,
        folder / check,
        subject,
        methods_for(subject.name, sizes.photograph_points),
        PRESETS["adebayo"],
        trials=1,
        drawn=sizes.photographs_drawn,
        facts={"protocol": protocol},
    )
    used = f"{subject.title} on {len(subject.data)} photographs"
    write_facts(folder, check=check, setting=subject.setting.to_json(), used=used)


class Photographs(Checks):
    """The check of the ImageNet network."""

    @property
    def names(self) -> list[str]:
        """The one folder."""
        return [self.facts["check"]]


def draw(found: Checks) -> dict[str, Figure]:
    """Grids and curves as for the small networks, and Guided Backprop on every drawn photograph."""
    (name,), (run,) = found.names, found.runs
    guided = methods_figure(
        pictures_of(found.folder / name),
        [drawable(panel(maps["guided-backprop"], "abs-normalized")) for maps in run.result.maps.values()],
        run.config["classes"],
        ["Original", *run.result.stages],
        photograph_title="Input",
        caption=f"{METHODS['guided-backprop'].title} on {run.config['title']}, cascading randomization; "
        f"{run.config['protocol']}; maps: {REDUCTIONS['abs-normalized'].title}.",
    )
    return draw_checks(found) | {f"{name}-guided-backprop": guided}


claims: Claims[Checks] = Claims(Photographs, "cascading randomization of Inception v3", (PRETRAINED, PHOTOGRAPHS))

cascade_claims(
    claims,
    "imagenet",
    {"gradient": "Gradient", "smoothgrad": "SmoothGrad", "grad-cam": "Grad-CAM"},
    "maps change from the first re-drawn blocks on and lose all resemblance",
    "maps stay almost the same down to the lowest blocks",
)


@claims.each(
    {"rank": "ABS rank correlation", "ssim": "SSIM"},
    "imagenet-structure-{key}",
    f"By {{title}}, {PRODUCTS_KEEP}, more than Gradient does.",
    "maps still show the outlines of the photograph",
)
def _structure(key: str, found: Checks) -> Outcome:
    return kept_more({"rank": "spearman-abs", "ssim": "ssim"}[key], found)


control_claim(claims, "imagenet-edge-control")

IMAGENET = experiment(
    "imagenet",
    "Cascading randomization of an ImageNet network, in the paper Inception v3",
    compute,
    draw,
    claims,
    covers={"Figure 2": "*-grid-*", "Figure 4": "*"},
    inputs=Inputs(photographs=True, networks=(PAPER_NETWORK,)),
)
