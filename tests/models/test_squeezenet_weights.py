import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.models import SqueezeNet1_0_Weights

from probatum.models import load_model, model_spec, predict

DATA = os.environ.get("PROBATUM_DATA")
CHECKPOINT = Path(DATA or ".", "..", "checkpoints", "squeezenet1_0-deepcompressed.pth")


@pytest.mark.skipif(DATA is None, reason="PROBATUM_DATA is unset")
@pytest.mark.skipif(not CHECKPOINT.is_file(), reason="no SqueezeNet checkpoint beside PROBATUM_DATA")
def test_trained_squeezenet_names_photographs():
    model, names = load_model("squeezenet1_0", CHECKPOINT), model_spec("squeezenet1_0").class_names
    preprocess = SqueezeNet1_0_Weights.DEFAULT.transforms()
    files = sorted(Path(DATA, "imagenet-samples").glob("*.JPEG"))[:40]
    images = torch.stack([preprocess(Image.open(file).convert("RGB")) for file in files])
    predicted = [names[index] for index in predict(model, images)]
    truth = [file.stem.partition("_")[2].replace("_", " ").lower() for file in files]
    right = sum(guess.lower() == name for guess, name in zip(predicted, truth, strict=True))
    assert right >= 20  # about 61 % on average, and some file names are spelt otherwise
