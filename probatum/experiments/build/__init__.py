"""From a configuration to the things it names: data, model, methods, metrics, randomizer."""

from probatum.experiments.build.data import load_images, preprocessing_of
from probatum.experiments.build.device import choose_device
from probatum.experiments.build.methods import (
    configured_methods,
    configured_metric,
    configured_metrics,
    methods_that_fit,
    rehearse,
    smoothed,
)
from probatum.experiments.build.model import configured_spec, load_or_train, untrained, will_train
from probatum.experiments.build.randomization import configured_randomizer, configured_stages
from probatum.experiments.build.setup import OWN_RANDOMIZER, Setup, set_up, set_up_again, setup_of
from probatum.experiments.build.subject import Subject, identity_of_subject, subject_of

__all__ = [
    "OWN_RANDOMIZER",
    "Setup",
    "Subject",
    "choose_device",
    "configured_methods",
    "configured_metric",
    "configured_metrics",
    "configured_randomizer",
    "configured_spec",
    "configured_stages",
    "identity_of_subject",
    "load_images",
    "load_or_train",
    "methods_that_fit",
    "preprocessing_of",
    "rehearse",
    "set_up",
    "set_up_again",
    "setup_of",
    "smoothed",
    "subject_of",
    "untrained",
    "will_train",
]
