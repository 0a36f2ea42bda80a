"""Network, stages and images to explain: Inception v3 on photographs, or a substitution."""

from dataclasses import replace
from typing import Any

from probatum.data import load_photographs
from probatum.errors import InvalidInput
from probatum.experiments.build import preprocessing_of
from probatum.models import model_spec
from probatum.reproductions.base import Context, Inputs
from probatum.reproductions.digits import labels_of, load_digits
from probatum.reproductions.kokhlikyan2021 import digits_cnn
from probatum.reproductions.kokhlikyan2021.judging import IMAGES
from probatum.reproductions.setting import Setting
from probatum.reproductions.subjects import Subject, photograph_spec, pretrained, wants_networks
from probatum.runs.fingerprint import weights_hash

INCEPTION = "inception_v3"
INPUTS = Inputs(photographs=True, networks=(INCEPTION,))
INCEPTION_STAGES = (
    ("fc", ("fc",)),
    ("Mixed_7", ("Mixed_7c", "Mixed_7b", "Mixed_7a")),
    ("Mixed_6", ("Mixed_6e", "Mixed_6d", "Mixed_6c", "Mixed_6b", "Mixed_6a")),
    ("Mixed_5", ("Mixed_5d", "Mixed_5c", "Mixed_5b")),
    *((name, (name,)) for name in ("Conv2d_4a_3x3", "Conv2d_3b_1x1", "Conv2d_2b_3x3", "Conv2d_2a_3x3")),
    ("Conv2d_1a_3x3", ("Conv2d_1a_3x3",)),
)
"""Stages of the paper's table 1."""


def facts_of(context: Context, subject: Subject) -> dict[str, Any]:
    """The facts that every experiment stores."""
    return {
        "preset": context.config.preset,
        "network": subject.used,
        "used": subject.used,
        "trained": subject.trained,
        "setting": subject.setting.to_json(),
        "weights_sha256": weights_hash(subject.model),
        "images": list(subject.data.image_names),
        "seed": context.config.seed,
    }


def load_subject(context: Context, images: int) -> Subject:
    """The network that is named, or the paper's, with photographs; without either the basic CNN on digits.

    Raises:
        InvalidInput: photographs are missing, or the network does not take photographs.
        ModelError: published weights that cannot be loaded.
    """
    return _photographs(context, images) if wants_networks(context) else _digits(context, images)


def _photographs(context: Context, count: int) -> Subject:
    """Load a pretrained network of torchvision with photographs."""
    config = context.config
    spec = photograph_spec(config.model or INCEPTION, (INCEPTION,))
    source = config.photographs or context.data_folder("imagenet-samples")
    if source is None:
        raise InvalidInput(
            f"{spec.title} needs photographs; give a folder of them with --photographs, or imagenet-samples/ in the "
            "data folder with --data-dir"
        )
    data = load_photographs(source, preprocessing_of(spec), limit=count)
    if len(data) < max(2, count):
        raise InvalidInput(f"{source} has {len(data)} photographs; {max(2, count)} are needed")
    subject = pretrained(context, spec.name, config.weights, data, (INCEPTION,))
    return replace(subject, stages=INCEPTION_STAGES) if spec.name == INCEPTION else subject


def _digits(context: Context, count: int) -> Subject:
    """Train the basic CNN on the true labels."""
    sizes, seed = context.pick(digits_cnn.SIZES), context.config.seed
    digits = load_digits(context, sizes.train_images, sizes.test_images)
    true = labels_of(digits.train)
    model, report = digits_cnn.trained_cnn(context, digits, sizes.true, true, start=seed, what="the basic CNN")
    spec = model_spec("basic_cnn")
    return Subject(
        spec.name,
        f"basic CNN (test accuracy {report.best_accuracy:.3f})",
        model,
        replace(digits.test.take_per_class(-(-count // 10)).subset(range(count)), name=digits.title),
        Setting(
            (f"the basic CNN on {digits.title} instead of Inception v3 on photographs",),
            dict.fromkeys(IMAGES, "a small CNN on digits was used: give --model inception_v3, or another network"),
        ),
        spec.stages,
        spec.grad_cam_layer,
        digits.test.class_names,
    )
