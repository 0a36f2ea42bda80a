import copy
import itertools

import pytest
import torch
import torchvision
from random_nets import IMAGES, NETS, state, trained
from torch import nn

from probatum.errors import InvalidInput, UnknownName
from probatum.randomization import (
    INITIALIZERS,
    ORDERS,
    Identity,
    Initializer,
    Moments,
    Normal,
    Randomizer,
    Reset,
    Stage,
    StagePlan,
    automatic_stages,
    initializer,
    stages_from_table,
    stream,
)
from probatum.randomization.stages import named_tensors

PLANS = {name: automatic_stages(trained(name), IMAGES) for name in NETS}


def randomizer(net: str, how: Initializer | None = None, **options) -> Randomizer:
    return Randomizer(trained(net), PLANS[net], how or Moments(), **options)


def parameters(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def same(one: nn.Module, other: nn.Module) -> bool:
    others = other.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in one.state_dict().items())


def changed(one: nn.Module, other: nn.Module) -> set[str]:
    others = other.state_dict()
    return {name for name, tensor in one.state_dict().items() if not torch.equal(tensor, others[name])}


@pytest.mark.parametrize("how", [name for name in INITIALIZERS if name != "identity"])
@pytest.mark.parametrize("net", NETS)
def test_the_full_cascade_leaves_nothing_trained(net, how):
    made = randomizer(net, initializer(how))
    before, random_state = state(made.trained), torch.get_rng_state()
    model = made.model(len(made.stages))
    kept = {name for name, _ in made.trained.named_parameters() if name.startswith("auxiliary.")}
    # A single number has no order to lose.
    kept |= {name for name, each in parameters(made.trained).items() if how == "permutation" and each.numel() == 1}
    assert changed(made.trained, model) & parameters(model).keys() == parameters(model).keys() - kept
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.trained.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert model(IMAGES).isfinite().all()
    if how in ("moments", "normal"):  # numbers that never repeat
        weights = [each for name, each in parameters(model).items() if name not in kept]
        pairs = itertools.combinations(weights, 2)
        assert not any(one.shape == other.shape and torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("net", NETS)
def test_the_identity_control_leaves_outputs_bit_equal(net):
    made = randomizer(net, Identity())
    for step in made.steps():
        assert torch.equal(step.model(IMAGES), made.trained(IMAGES))
    assert not torch.equal(*made.trained(IMAGES))  # a network that ignores its input would prove nothing


@pytest.mark.parametrize("net", ["resnet", "vit", "tied", "recurrent"])
def test_cascading_and_independent_give_a_layer_the_same_weights(net):
    cascading, independent = randomizer(net), randomizer(net, order="independent")
    last = parameters(cascading.model(len(cascading.stages)))
    for number in range(1, len(independent.stages) + 1):
        alone = independent.model(number)
        touched = changed(independent.trained, alone)
        assert touched
        assert all(torch.equal(alone.state_dict()[name], last[name]) for name in touched & last.keys())
    bottom_up = randomizer(net, order="bottom-up")
    assert same(bottom_up.model(len(bottom_up.stages)), cascading.model(len(cascading.stages)))


def test_orders_visit_the_right_stages():
    tensors = {"4": "4.bias", "0.0": "0.0.bias"}
    output, first = tensors["4"], tensors["0.0"]
    for order, expected in {
        "cascading": [{output}, {output, first}],
        "bottom-up": [{first}, {output, first}],
        "independent": [{output}, {first}],
    }.items():
        made = randomizer("resnet", order=order)
        ends = (1, len(made.stages))
        assert [changed(made.trained, made.model(step)) & {output, first} for step in ends] == expected
        assert (made.stages[0].name == "4") == (order != "bottom-up")


@pytest.mark.parametrize("net", ["resnet", "tied"])
@pytest.mark.parametrize(
    "options", [{}, {"redraw": True}, {"order": "independent"}, {"order": "bottom-up"}, {"order": "full"}]
)
def test_steps_equal_models_made_alone_in_any_order(net, options):
    made = randomizer(net, **options)
    numbers = list(range(len(made.stages) + 1))
    alone = {number: randomizer(net, **options).model(number, trial=3) for number in reversed(numbers)}
    steps = list(made.steps(trial=3))
    assert [step.number for step in steps] == numbers
    assert [step.stage for step in steps] == ["trained", *(stage.name for stage in made.stages)]
    assert all(same(step.model, alone[step.number]) for step in steps)
    start = min(2, numbers[-1])
    resumed = list(made.steps(trial=3, start=start))
    assert [step.number for step in resumed] == numbers[start:]
    assert all(same(step.model, alone[step.number]) for step in resumed)


@pytest.mark.parametrize("net", ["resnet", "vit", "tied", "recurrent"])
def test_the_full_order_is_the_end_of_the_cascade_in_one_step(net):
    full, cascading = randomizer(net, order="full"), randomizer(net)
    assert [stage.name for stage in full.stages] == ["all layers"]
    assert same(full.model(1, trial=2), cascading.model(len(cascading.stages), trial=2))
    assert same(full.model(0), full.trained)
    assert full.account() == cascading.account()
    with pytest.raises(InvalidInput, match="no step 2"):
        full.model(2)


def test_the_full_order_of_a_plan_of_one_stage_lists_its_parameters():
    net = trained("resnet")
    plan = StagePlan((Stage("everything", tuple(name for name, _ in net.named_children())),))
    entries = Randomizer(net, plan, Moments(), order="full").account()
    assert {entry.stage for entry in entries if entry.state == "re-drawn"} == {"everything"}


def test_the_logit_order_keeps_the_weights_and_changes_the_class():
    made = randomizer("resnet", Identity(), order="logit")
    assert [stage.name for stage in made.stages] == ["another class"]
    assert all(same(step.model, made.trained) for step in made.steps())
    targets = made.trained(IMAGES).argmax(1)
    assert (made.targets(IMAGES, targets) != targets).all()
    assert {entry.state for entry in made.account() if entry.count and entry.stage} <= {"same value", "kept"}
    with pytest.raises(InvalidInput, match="needs initializer='identity'"):
        randomizer("resnet", order="logit")


@pytest.mark.parametrize("order", [order for order in ORDERS if order != "logit"])
def test_all_other_orders_keep_the_class(order):
    targets = torch.tensor([2, 0])
    assert randomizer("resnet", order=order).targets(IMAGES, targets) is targets


def test_seed_and_trial_change_every_weight():
    made = randomizer("resnet")
    full = len(made.stages)
    names = parameters(made.trained).keys()
    assert changed(made.model(full), made.model(full, trial=1)) == names
    assert changed(made.model(full), randomizer("resnet", seed=1).model(full)) == names
    assert changed(made.model(full), randomizer("resnet").model(full)) == set()


def test_redrawing_gives_the_stages_above_new_weights_at_every_step():
    once, again = randomizer("resnet"), randomizer("resnet", redraw=True)
    assert not {"4.weight", "4.bias"} & changed(once.model(1), once.model(2))
    assert {"4.weight", "4.bias"} <= changed(again.model(1), again.model(2))


def test_what_is_not_randomized_is_shared():
    made = randomizer("resnet")
    model = made.model(1)
    shared = {
        name
        for name, each in named_tensors(model).items()
        if each.data_ptr() == named_tensors(made.trained)[name].data_ptr()
    }
    assert shared == named_tensors(model).keys() - {"4.weight", "4.bias"}
    assert same(made.model(0), made.trained)
    assert made.model(0) is not made.trained


def test_mode_flags_and_ties_are_kept():
    made = randomizer("tied")
    made.trained.train()
    made.trained.first.bias.requires_grad_(False)
    model = made.model(1)
    assert model.training
    assert not model.first.bias.requires_grad
    assert model.last.weight is model.first.weight
    assert model.left is model.right
    assert "first.weight" in changed(made.trained, model)  # the same tensor as last.weight


def test_models_made_in_inference_mode_give_gradients():
    made = randomizer("resnet")
    with torch.inference_mode():
        model = made.model(2)
    model(IMAGES).sum().backward()
    assert model[4].weight.grad is not None


def test_batch_norm_policies():
    kept, reset = randomizer("resnet"), randomizer("resnet", batch_norm="reset-statistics")
    statistics = {name for name in kept.trained.state_dict() if name.endswith(("running_mean", "running_var"))}
    assert not statistics & changed(kept.trained, kept.model(len(kept.stages)))
    assert changed(reset.trained, reset.model(1)) == {"4.weight", "4.bias"}
    below = reset.model(2).state_dict()
    assert torch.equal(below["2.downsample.1.running_mean"], torch.zeros(12))
    assert torch.equal(below["2.downsample.1.running_var"], torch.ones(12))
    assert statistics & changed(reset.trained, reset.model(2)) == {
        "2.downsample.1.running_mean",
        "2.downsample.1.running_var",
    }
    assert "norm.running_mean" in changed(
        trained("auxiliary"), randomizer("auxiliary", batch_norm="reset-statistics").model(2)
    )


def test_float64_models_get_the_same_weights():
    for how in INITIALIZERS.values():
        single = Randomizer(trained("vit"), PLANS["vit"], how)
        double = Randomizer(copy.deepcopy(single.trained).double(), PLANS["vit"], how)
        for name, value in parameters(double.model(8)).items():
            assert value.dtype == torch.float64
            torch.testing.assert_close(parameters(single.model(8))[name], value.float(), rtol=2e-7, atol=1e-9)


def test_memory_layout_does_not_change_the_weights():
    plain = randomizer("resnet")
    other = copy.deepcopy(plain.trained).to(memory_format=torch.channels_last)
    other[4].weight = nn.Parameter(other[4].weight.detach().T.contiguous().T)
    assert not other[4].weight.is_contiguous()
    made = Randomizer(other, plain.plan, Moments())
    model = made.model(len(made.stages))
    assert model[4].weight.stride() == other[4].weight.stride()
    expected = parameters(plain.model(len(plain.stages)))
    for name, value in parameters(model).items():  # the mean is summed in another order
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-7)


def test_hooks_and_gradients_of_the_original_stay_with_it():
    made = randomizer("resnet")
    calls = []
    made.trained[4].register_forward_hook(lambda *_: calls.append(1))
    made.trained(IMAGES).sum().backward()
    gradient = made.trained[4].weight.grad.clone()
    model = made.model(3)
    model(IMAGES).sum().backward()
    assert len(calls) == 2
    assert torch.equal(made.trained[4].weight.grad, gradient)


def test_the_vision_transformer_is_randomized_wholly():
    with torch.device("meta"):
        model = torchvision.models.vit_b_16()
        plan = automatic_stages(model, torch.zeros(1, 3, 224, 224))
    entries = Randomizer(model, plan, Normal())._stage_of
    assert {name for name, _ in model.named_parameters()} == set(entries)
    assert sum(parameter.numel() for parameter in model.parameters()) == 86_567_656


def test_the_account_lists_everything_once():
    for net in NETS:
        made = randomizer(net, Reset())
        entries = {entry.name: entry for entry in made.account()}
        numbers = sum(each.numel() for each in (*made.trained.parameters(), *made.trained.buffers()))
        assert sum(entry.count for entry in entries.values()) == numbers
        drawn = {name for name, entry in entries.items() if entry.state == "re-drawn"}
        assert drawn == {name for name in parameters(made.trained) if not name.startswith("auxiliary")}
    table = {entry.name: entry for entry in randomizer("vit", Reset()).account()}
    assert (table["class_token"].stage, table["class_token"].rule) == ("conv_proj", "fallback: Moments")
    attention = "encoder.layers.encoder_layer_0.self_attention"
    assert table[f"{attention}.in_proj_weight"].rule == "MultiheadAttention._reset_parameters"


def test_the_account_tells_ties_unused_heads_constants_and_statistics():
    tied = {entry.name: entry for entry in randomizer("tied").account()}
    assert (tied["last.weight"].state, tied["last.weight"].count) == ("tied to first.weight", 0)
    assert (tied["first.weight"].state, tied["first.weight"].stage) == ("re-drawn", "last")
    auxiliary = {entry.name: entry for entry in randomizer("auxiliary").account()}
    assert auxiliary["auxiliary.0.weight"].state == "unused"
    assert auxiliary["norm.running_mean"].state == "kept"
    reset = {entry.name: entry for entry in randomizer("auxiliary", batch_norm="reset-statistics").account()}
    assert (reset["norm.running_mean"].state, reset["norm.num_batches_tracked"].state) == ("reset", "kept")
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    nn.init.ones_(model[1].bias)
    table = Randomizer(model, stages_from_table(model, [("1", ["1"])]), Moments()).account()
    assert [entry.state for entry in table] == ["re-drawn", "same value"]


def test_streams_differ_in_each_part_of_their_key():
    keys = [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"), (0, 0, "a", 1), (0, 0, "a", 2)]
    draws = [torch.rand(3, generator=stream(*key)).tolist() for key in keys]
    assert len({tuple(draw) for draw in draws}) == len(keys)
    assert torch.rand(3, generator=stream(0, 0, "a")).tolist() == draws[0]


@pytest.mark.parametrize("step", [-1, 13])
def test_steps_outside_the_range_are_refused(step):
    with pytest.raises(InvalidInput, match=f"no step {step}"):
        randomizer("resnet").model(step)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": "cascade"}, UnknownName, "did you mean 'cascading'"),
        ({"batch_norm": "reset"}, UnknownName, "randomization policy"),
        ({"how": Identity(), "batch_norm": "reset-statistics"}, InvalidInput, "identity control"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        randomizer("resnet", **options)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_weights_are_the_same_on_every_device():
    for how in INITIALIZERS.values():
        here = Randomizer(trained("vit"), PLANS["vit"], how)
        there = Randomizer(trained("vit").cuda(), PLANS["vit"], how)
        state_before = torch.cuda.get_rng_state()
        model = there.model(8)
        assert torch.equal(torch.cuda.get_rng_state(), state_before)
        for name, value in parameters(here.model(8)).items():  # the moments are summed in another order
            torch.testing.assert_close(parameters(model)[name].cpu(), value, rtol=1e-6, atol=1e-7)


def test_a_plan_may_name_one_parameter_a_stage():
    model = trained("functional")
    plan = StagePlan(tuple(Stage(name, (name,)) for name in ("head", "mix", "shift", "stem")))
    made = Randomizer(model, plan, Moments())
    assert changed(made.model(1), made.model(2)) == {"mix"}
