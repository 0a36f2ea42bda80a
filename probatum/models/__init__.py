"""Classifiers: the papers' small networks, torchvision's, their stages, weights and training."""

from probatum.models.checkpoints import load_checkpoint, save_checkpoint
from probatum.models.epochs import EpochRecord, TrainingReport
from probatum.models.profiles import function_along
from probatum.models.registry import MODELS, load_model, model_spec
from probatum.models.small import MLP, BasicCNN
from probatum.models.smooth import smoothed, smoothing_of
from probatum.models.spec import ModelSpec
from probatum.models.stages import Stages
from probatum.models.training import (
    PAPER_MNIST,
    QUICK_DIGITS,
    TrainingConfig,
    accuracy,
    predict,
    train,
)

__all__ = [
    "MLP",
    "MODELS",
    "PAPER_MNIST",
    "QUICK_DIGITS",
    "BasicCNN",
    "EpochRecord",
    "ModelSpec",
    "Stages",
    "TrainingConfig",
    "TrainingReport",
    "accuracy",
    "function_along",
    "load_checkpoint",
    "load_model",
    "model_spec",
    "predict",
    "save_checkpoint",
    "smoothed",
    "smoothing_of",
    "train",
]
