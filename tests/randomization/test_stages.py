import pytest
import torch
from random_nets import IMAGES, trained
from torch import nn

from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.randomization import Randomizer, Reset, Stage, StagePlan, stages_from_table
from probatum.randomization.stages import assign

TABLE = [("head", ["head"]), ("stem", ["stem", "act"])]


def test_a_table_keeps_its_order_and_names():
    plan = stages_from_table(trained("auxiliary"), TABLE, unused=["auxiliary"])
    assert plan == StagePlan((Stage("head", ("head",)), Stage("stem", ("stem", "act"))), ("auxiliary",))


def test_images_tell_what_is_unused():
    assert stages_from_table(trained("auxiliary"), TABLE, images=IMAGES).unused == ("auxiliary",)


def test_images_do_not_excuse_a_parameter_that_is_used():
    with pytest.raises(ModelError, match=r"act\.weight of Auxiliary would stay trained"):
        stages_from_table(trained("auxiliary"), [("head", ["head"]), ("stem", ["stem"])], images=IMAGES)


def test_without_images_every_parameter_must_be_named():
    with pytest.raises(ModelError, match=r"auxiliary\.0\.weight and 5 more of Auxiliary would stay trained"):
        stages_from_table(trained("auxiliary"), TABLE)


def test_a_stage_may_name_single_parameters():
    model = trained("vit")
    table = [("heads", ["heads"]), ("encoder", ["encoder"]), ("stem", ["conv_proj", "class_token"])]
    stage_of = assign(model, stages_from_table(model, table))
    assert stage_of["class_token"] == "stem"
    assert stage_of["encoder.pos_embedding"] == "encoder"
    assert set(stage_of) == {name for name, _ in model.named_parameters()}


def test_running_statistics_belong_to_the_stage_of_their_module():
    model = trained("resnet")
    stage_of = assign(model, stages_from_table(model, [(path, [path]) for path in "4210"]))
    assert stage_of["2.downsample.1.running_var"] == "2"


def test_another_name_of_a_tied_weight_covers_it():
    model = trained("tied")
    plan = stages_from_table(model, [(path, [path]) for path in ("last", "right", "twice", "first")])
    assert assign(model, plan)["last.weight"] == "last"


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([("head", ["haed"])], UnknownName, "'haed'; did you mean 'head'"),
        ([("head", [""])], UnknownName, "no module or parameter of Auxiliary is called ''"),
        ([("head", ["head"]), ("x", ["head.bias"])], InvalidInput, r"head\.bias .* in two stages, 'head' and 'x'"),
        ([("head", ["head"]), ("head", ["stem"])], InvalidInput, "two stages of Auxiliary are called 'head'"),
        ([("head", ["head"]), ("norm", ["norm"])], InvalidInput, "stage 'norm' of Auxiliary holds no parameter"),
        ([("head", [])], InvalidInput, "stage 'head' of Auxiliary holds no parameter"),
        ([*TABLE, ("aux", ["auxiliary.0"])], InvalidInput, r"auxiliary\.0\.weight .* unused"),
    ],
)
def test_a_wrong_table_is_refused(table, error, message):
    with pytest.raises(error, match=message):
        stages_from_table(trained("auxiliary"), table, unused=["auxiliary"])


def test_the_randomizer_checks_a_plan_of_ones_own():
    plan = StagePlan((Stage("head", ("head",)),))
    with pytest.raises(ModelError, match="would stay trained"):
        Randomizer(trained("auxiliary"), plan, Reset())


def test_a_compiled_model_is_named_like_the_model_it_wraps():
    model = nn.Sequential(nn.Linear(3, 2))
    compiled = torch.compile(model, backend="eager")
    assert assign(compiled, stages_from_table(compiled, [("0", ["0"])])) == {"0.weight": "0", "0.bias": "0"}
