"""Models of a user's own code: by file and by module, with their own preprocessing."""

import sys

import pytest
import torch
from torch import nn
from torchvision import transforms as T

from probatum.data import IMAGENET, Preprocessing
from probatum.errors import InvalidInput, ModelError
from probatum.models import load_model, model_spec, save_checkpoint
from probatum.models.sources.inputs import read_preprocessing

CODE = """
import torch
from torch import nn

preprocessing = {"input_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic"}
class_names = ["cat", "dog"]

class Net(nn.Sequential):
    def __init__(self, num_classes=2):
        pool = nn.AdaptiveAvgPool2d(1)
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, num_classes))

class Two(nn.Module):
    def forward(self, image, metadata, scale=1):
        return image

class Gray(Net):
    preprocessing = {"input_size": 8, "mean": [0], "std": [1]}

net = Net()
number = 3
two = Two()

def make():
    return Net(3)

def needs(width, depth=2):
    return Net(width)

def fails():
    return Net().absent

def no_module():
    return 4
"""


@pytest.fixture
def folder(code_folder):
    """The current folder, with `own_nets.py`."""
    (code_folder / "own_nets.py").write_text(CODE)
    return code_folder


@pytest.mark.parametrize(("name", "classes"), [("net", 2), ("Net", 2), ("make", 3)])
def test_an_instance_a_class_and_a_function(folder, name, classes):
    torch.manual_seed(7)
    model, again = (load_model(f"./own_nets.py:{name}", seed=4) for _ in range(2))
    assert not model.training
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, classes)
    assert torch.equal(model[0].weight, again[0].weight)
    assert model[0].weight.data_ptr() != again[0].weight.data_ptr()


def test_weights_drawn_while_the_module_is_imported_are_those_of_every_run(folder):
    torch.manual_seed(7)
    first = load_model("./own_nets.py:net")
    state = torch.get_rng_state()
    del sys.modules[str(folder / "own_nets.py")]
    second = load_model("own_nets:net")
    assert torch.equal(first[0].weight, second[0].weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_file_of_weights_gives_the_classes_where_there_is_a_parameter_for_them(folder):
    tuned = load_model("own_nets.py:Net", num_classes=7, seed=3)
    save_checkpoint(tuned, folder / "seven.pt")
    assert torch.equal(load_model("own_nets:Net", "seven.pt")[4].weight, tuned[4].weight)
    for name in ("net", "make"):
        with pytest.raises(InvalidInput, match=r"7 classes.*num_classes"):
            load_model(f"own_nets:{name}", "seven.pt")


def test_a_module_describes_its_inputs_and_classes(folder):
    spec = model_spec("./own_nets.py:make")
    assert spec.preprocessing == Preprocessing((0.5,) * 3, (0.25,) * 3, 16, 16, "bicubic")
    assert spec.class_names == ("cat", "dog")
    assert (spec.name, spec.title) == ("./own_nets.py:make", "own_nets.py:make")
    assert model_spec("own_nets:Gray").channels == 1
    assert spec.with_inputs(32, interpolation="bilinear").preprocessing == Preprocessing(
        (0.5,) * 3, (0.25,) * 3, 32, 32
    )


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("number", "type int"),
        ("needs", "argument.*width;"),
        ("fails", r"AttributeError.*absent.*own_nets\.py, line \d+"),
        ("no_module", "type int"),
    ],
)
def test_what_is_no_model_is_named(folder, name, named):
    with pytest.raises(InvalidInput, match=named):
        load_model(f"own_nets.py:{name}")


def test_a_model_of_two_inputs_and_random_weights_are_refused(folder):
    for name in ("two", "Two"):
        with pytest.raises(ModelError, match=r"2 inputs.*image, metadata"):
            load_model(f"own_nets.py:{name}")
    with pytest.raises(InvalidInput, match="'none'"):
        load_model("own_nets.py:net", "none")


def test_parts_of_the_preprocessing_change_and_missing_ones_are_named():
    resnet = model_spec("resnet18")
    assert resnet.with_inputs() is resnet
    assert resnet.with_inputs(448).preprocessing == Preprocessing(IMAGENET.mean, IMAGENET.std, 512, 448)
    assert resnet.with_inputs(mean=(0.0,) * 3).preprocessing.mean == (0, 0, 0)


STEPS = [T.Resize(20), T.CenterCrop(16), T.ToTensor(), T.Normalize((0.5,) * 3, (0.2,) * 3)]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (T.Compose(STEPS), {}),
        (
            T.Compose([T.Resize((16, 16), T.InterpolationMode.BICUBIC), *STEPS[2:]]),
            {"resize": 16, "interpolation": "bicubic", "keep_ratio": False},
        ),
        (T._presets.ImageClassification(crop_size=16, resize_size=20, mean=(0.5,) * 3, std=(0.2,) * 3), {}),
        ({"input_size": 16, "resize": 20, "mean": (0.5,) * 3, "std": (0.2,) * 3}, {}),
        (
            T.Compose([T.Grayscale(), *STEPS[:3], T.Normalize((0.5,), (0.2,))]),
            {"mean": (0.5,), "std": (0.2,)},
        ),
    ],
)
def test_preprocessings_in_all_their_forms(value, parts):
    expected = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "resize": 20, "crop": 16} | parts
    assert read_preprocessing(value, "a model") == Preprocessing(**expected)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (T.Compose([*STEPS[:1], T.Grayscale(3), *STEPS[1:]]), "Grayscale"),
        (T.Compose([T.Resize((20, 24)), *STEPS[1:]]), "not square"),
        (T.Compose(STEPS[:3]), "no mean"),
        (T.Compose([*STEPS[:2], T.PILToTensor(), T.ConvertImageDtype(torch.float64), STEPS[3]]), None),
        (T.Compose([T.CenterCrop(16), T.Resize(20), *STEPS[2:]]), "a model"),
        ({"input_size": 16, "mean": (0,), "std": (1,), "crop": 3}, "'crop'"),
        (lambda image: image, "function"),
    ],
)
def test_preprocessings_that_do_something_else_are_refused(value, named):
    if named is None:
        assert read_preprocessing(value, "a model").crop == 16
    else:
        with pytest.raises(InvalidInput, match=named):
            read_preprocessing(value, "a model")


def test_a_module_with_attributes_that_nobody_can_copy_is_refused(folder):
    (folder / "own_nets.py").write_text("from torch import nn\nnet = nn.Linear(2, 2)\nnet.file = open(__file__)")
    with pytest.raises(ModelError, match="cannot be copied"):
        load_model("own_nets:net")
    sys.modules["own_nets"].net.file.close()


def test_a_linear_head_behind_an_unknown_preprocessing(folder):
    (folder / "own_nets.py").write_text("from torch import nn\nnet = nn.Flatten()")
    spec = model_spec("own_nets:net")
    assert (spec.preprocessing, spec.channels, spec.input_size, spec.num_classes) == (None,) * 4
    with pytest.raises(InvalidInput, match="--input-size"):
        spec.with_inputs(16)
    assert isinstance(load_model("own_nets:net"), nn.Flatten)
    assert spec.with_inputs(16, (0.5,), (0.5,)).preprocessing == Preprocessing((0.5,), (0.5,), 16, 16)
