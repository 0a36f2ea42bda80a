"""Computing in full float32, and leaving every switch of torch as it was found."""

import copy

import pytest
import torch
from attributions.table import METHODS
from nets import ConvNet, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import Gradient, SmoothGrad
from probatum.engine import prepare
from probatum.engine.precision import computing, dtype_of, require_precision
from probatum.errors import InvalidInput
from probatum.experiments.config import CheckConfig

pytestmark = pytest.mark.filterwarnings("ignore::probatum.errors.EffortWarning")  # maps of few points will do

PER_OPERATOR = hasattr(torch.backends, "fp32_precision")  # since torch 2.9


def _operators():
    if not PER_OPERATOR:
        return {}
    return {
        f"{backend}.{name}": (torch._C._get_fp32_precision_getter, torch._C._set_fp32_precision_setter, backend, name)
        for backend, name in [
            ("generic", "all"),
            ("cuda", "all"),
            ("cuda", "conv"),
            ("cuda", "rnn"),
            ("cuda", "matmul"),
            ("mkldnn", "all"),
            ("mkldnn", "conv"),
            ("mkldnn", "rnn"),
            ("mkldnn", "matmul"),
        ]
    }


def _read(function):
    try:
        return function()
    except RuntimeError:
        return "cannot be told by the older flags"


def switches() -> dict[str, object]:
    """Everything that decides how float32 numbers are multiplied, by the older and the newer interface."""
    return {
        "cudnn": _read(lambda: torch.backends.cudnn.allow_tf32),
        "matmul": _read(lambda: torch.backends.cuda.matmul.allow_tf32),
        "precision": _read(torch.get_float32_matmul_precision),
    } | {name: get(backend, op) for name, (get, _, backend, op) in _operators().items()}


@pytest.fixture(autouse=True)
def _restored():
    before = switches()
    yield
    torch.backends.cudnn.allow_tf32 = before["cudnn"]
    torch.set_float32_matmul_precision(before["precision"])
    for name, (_, put, backend, op) in _operators().items():
        put(backend, op, before[name])
    assert switches() == before


def older(**flags):
    def change():
        if "cudnn" in flags:
            torch.backends.cudnn.allow_tf32 = flags["cudnn"]
        if "matmul" in flags:
            torch.backends.cuda.matmul.allow_tf32 = flags["matmul"]
        if "precision" in flags:
            torch.set_float32_matmul_precision(flags["precision"])

    return change


def newer(**precisions):
    def change():
        for name, precision in precisions.items():
            _, put, backend, op = _operators()[name.replace("_", ".")]
            put(backend, op, precision)

    return change


CALLERS = {
    "nothing": older(),
    "cudnn off": older(cudnn=False),
    "matmul on": older(matmul=True),
    "high": older(precision="high"),
    "medium": older(precision="medium"),
    "all": older(cudnn=True, precision="medium"),
} | (
    {
        "everything tf32": newer(generic_all="tf32"),
        "everything ieee": newer(generic_all="ieee"),
        "cuda tf32": newer(cuda_all="tf32"),
        "cuda matmul tf32": newer(cuda_matmul="tf32"),
        "convolutions ieee": newer(cuda_conv="ieee"),
        "oneDNN in bfloat16": newer(mkldnn_matmul="bf16", mkldnn_conv="bf16"),
        "each its own": newer(cuda_conv="ieee", cuda_rnn="tf32", cuda_matmul="tf32", mkldnn_matmul="bf16"),
    }
    if PER_OPERATOR
    else {}
)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", CALLERS)
def test_the_callers_precision_is_put_back(name, fails):
    CALLERS[name]()
    before = switches()

    class Model(nn.Linear):
        def forward(self, x):
            inside.append(switches())
            if fails:
                raise ValueError("the model's own")
            return super().forward(x)

    inside: list[dict[str, object]] = []
    model = Model(3, 2)
    if fails:
        with pytest.raises(ValueError, match="the model's own"):
            Gradient()(model, torch.ones(1, 3), 0)
    else:
        Gradient()(model, torch.ones(1, 3), 0)
    assert switches() == before
    for name, value in inside[0].items():
        if not name.endswith(".all"):
            assert value in (False, "highest", "ieee", "cannot be told by the older flags"), name


@pytest.mark.skipif(not PER_OPERATOR, reason="torch has no precision by operator before 2.9")
@pytest.mark.parametrize(("before", "after"), [("none", "tf32"), ("tf32", "none"), ("tf32", "ieee")])
def test_what_followed_its_backend_still_follows_it(before, after):
    newer(generic_all=before)()
    Gradient()(nn.Linear(3, 2), torch.ones(1, 3), 0)
    newer(generic_all=after)()
    assert switches()["cuda.matmul"] == switches()["mkldnn.matmul"] == after


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_callers_precision_does_not_change_the_map(precision):
    model, x = seeded(ConvNet, dtype=torch.float32), images(dtype=torch.float32)
    expected = Gradient()(model, x, 0)
    torch.set_float32_matmul_precision(precision)
    assert torch.equal(Gradient()(model, x, 0), expected)


def test_random_state_is_put_back_and_a_model_may_use_it():
    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(x + 0 * torch.randn_like(x))  # other logits each time would be refused

    model = Noisy(3, 2)
    state = torch.get_rng_state()
    SmoothGrad(samples=3)(model, torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), None)
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_are_on_and_autocast_is_off_inside():
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), computing(torch.device("cpu")):
        assert torch.is_grad_enabled()
        assert not torch.is_autocast_enabled("cpu")
        assert not torch.is_inference_mode_enabled()
    with torch.inference_mode(), computing(torch.device("cpu")):
        assert not torch.is_inference_mode_enabled()


def test_precisions_have_names():
    assert (dtype_of("float32"), dtype_of("float64")) == (torch.float32, torch.float64)
    assert dtype_of("tf32") == dtype_of("bfloat16") == torch.float32
    with pytest.raises(InvalidInput, match="'half' does not exist; choose from float32, tf32, bfloat16, float64"):
        dtype_of("half")


def test_a_precision_that_the_device_lacks_is_refused():
    for precision in ("float32", "bfloat16", "float64"):
        require_precision(precision, torch.device("cpu"))
    message = "cpu here has no precision 'tf32'; choose from float32, bfloat16, float64"
    with pytest.raises(InvalidInput, match=message):
        prepare(nn.Linear(3, 2), "tf32")
    with pytest.raises(InvalidInput, match=message):
        Gradient()(nn.Linear(3, 2), torch.ones(1, 3), 0, precision="tf32")
    with pytest.raises(InvalidInput, match="mps here has no precision 'float64'; choose from float32"):
        require_precision("float64", torch.device("mps"))


def test_bfloat16_computes_in_it_and_returns_float32():
    types = []

    class Model(ConvNet):
        def forward(self, x):
            logits = super().forward(x)
            types.append((x.dtype, logits.dtype))
            return logits

    model, x = seeded(Model, dtype=torch.float32), images(dtype=torch.float32)
    maps = attribute(model, x, None, METHODS, precision="bfloat16")
    assert types[-1] == (torch.float32, torch.bfloat16)
    exact = attribute(model, x, prepare(model).logits(x).argmax(1), METHODS, precision="float64")
    for name, values in maps.items():
        assert values.dtype == torch.float32
        # bfloat16 has 8 bits: 0.4 % a product, and ReLUs and max-pools that flip. Measured: 0.6 to 9.7 %. Occlusion is
        # a difference of logits, in which most of the 8 bits cancel: 20 %.
        bound = 0.4 if name.startswith("occlusion") else 0.2
        assert (values - exact[name]).norm() < bound * exact[name].norm(), name
        if name != "edge-detector":
            assert not torch.equal(values, exact[name].float())


def test_it_is_never_a_default():
    assert prepare(seeded(ConvNet)).compute.precision is None
    assert CheckConfig().precision == "float32"


@pytest.mark.parametrize("options", [{"channels_last": True}, {"fold_batch_norm": True}, {"precision": "bfloat16"}])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_its_state_are_left_as_found(options, fails):
    model, x = seeded(ConvNet, dtype=torch.float32).train(), images(dtype=torch.float32)
    kept = copy.deepcopy(model.state_dict())
    strides = {name: value.stride() for name, value in model.state_dict().items()}
    forwards = {name: module.forward for name, module in model.named_modules()}
    before = switches(), torch.is_autocast_enabled("cpu"), torch.get_rng_state()
    if fails:
        with pytest.raises(InvalidInput):
            Gradient()(model, x, 99, **options)
    else:
        Gradient()(model, x, 0, **options)
    assert (switches(), torch.is_autocast_enabled("cpu")) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    assert strides == {name: value.stride() for name, value in model.state_dict().items()}
    assert forwards == {name: module.forward for name, module in model.named_modules()}
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
