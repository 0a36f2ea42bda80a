"""Further inputs of a model: each row goes with its image through every method, chunk and randomization."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from attributions.table import METHODS
from attributions.unchecked import unchecked
from nets import CLASSES, CallCounter, ConvNet, images, seeded
from torch import Tensor, nn

from probatum import attribute
from probatum.attributions import Gradient, GuidedBackprop, SmoothGrad
from probatum.attributions.base import attribute_variants
from probatum.engine import (
    Variant,
    all_logits,
    execution_order,
    find_feature_map,
    prepare,
    prepare_like,
    relu_coverage,
    used_parameters,
)
from probatum.errors import InvalidInput, ModelError
from probatum.experiments import quality_scores, sanity_check
from probatum.randomization import Randomizer, Reset, automatic_stages, stages_from_table

TARGETS = torch.tensor([0, 3, 1])


class TwoInputs(ConvNet):
    """A ConvNet whose image is gated and moved by metadata, which it overwrites, and whose logits an integer scales."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(3, 2)
        self.kinds = nn.Embedding(7, CLASSES)

    def forward(self, x: Tensor, metadata: Tensor, kind: Tensor) -> Tensor:
        metadata.mul_(1.5)
        gate = torch.relu(self.gate(metadata))[:, :, None, None]
        return super().forward(x * gate + metadata.sin().sum(1)[:, None, None, None]) * self.kinds(kind)


class Closed(nn.Module):
    """A model that holds the further inputs of one image."""

    def __init__(self, model: nn.Module, extra: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.model, self.extra = model, extra

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x, *(each.repeat_interleave(len(x), 0) for each in self.extra))


def extra_of(batch: int = 3) -> tuple[Tensor, Tensor]:
    metadata = torch.linspace(0.2, 2.9, 3 * batch, dtype=torch.float64).cos().reshape(batch, 3) + 0.3
    return metadata, torch.arange(batch) % 7


def rows_of(extra: tuple[Tensor, ...], which: object) -> tuple[Tensor, ...]:
    return tuple(each[which] for each in extra)


def inside(method):
    """The method for a model that is named `model` in another."""
    if hasattr(method, "method"):
        return replace(method, method=inside(method.method))
    return replace(method, layer=f"model.{method.layer}") if getattr(method, "layer", None) else method


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return seeded(TwoInputs)


@pytest.mark.parametrize("name", METHODS)
def test_each_row_goes_with_its_image(name, net):
    x, extra, method = images(3), extra_of(), METHODS[name]
    found = method(net, x, TARGETS, seed=3, extra=extra, chunk=4)
    one_by_one = [
        inside(method)(Closed(net, rows_of(extra, each)), x[each], TARGETS[each], seed=3)
        for each in (slice(0, 1), slice(1, 2), slice(2, 3))
    ]
    # DeepLIFT's quotients lose some digits where a point and its baseline are close.
    expected = torch.cat(one_by_one)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * float(expected.abs().amax()))
    if name != "edge-detector":
        other = method(net, x, TARGETS, seed=3, extra=rows_of(extra, [1, 2, 0]))
        assert not torch.allclose(other, found, rtol=0.01)


@pytest.mark.parametrize(
    "name", ["gradient", "integrated-gradients-sg", "grad-cam", "deeplift-shap", "occlusion-cut-off"]
)
def test_independence_of_order_and_chunk(name, net):
    x, extra, method = images(3), extra_of(), METHODS[name]
    together = method(net, x, seed=3, extra=extra)
    scale = float(together.abs().amax())
    order = torch.tensor([2, 0, 1])
    moved = method(net, x[order], seed=3, extra=rows_of(extra, order))
    torch.testing.assert_close(moved, together[order], rtol=0, atol=1e-12 * scale)
    for chunk in (1, 2, 64):
        found = method(net, x, seed=3, extra=extra, chunk=chunk)
        torch.testing.assert_close(found, together, rtol=0, atol=1e-12 * scale)


def test_logits_are_those_of_the_model_and_nothing_is_overwritten(net):
    x, extra = images(3), extra_of()
    kept = [each.clone() for each in extra]
    expected = net.eval()(x, *(each.clone() for each in extra))
    for chunk in (None, 1, 2):
        torch.testing.assert_close(all_logits(prepare(net, chunk=chunk, extra=extra), x), expected.detach())
    Gradient()(net, x, extra=extra)
    assert all(map(torch.equal, extra, kept))


def test_floating_point_rows_take_the_type_of_the_computation_and_integers_stay(net):
    x, (metadata, kind) = images(3), extra_of()
    found = Gradient()(
        seeded(TwoInputs, dtype=torch.float32), x, 1, precision="float64", extra=(metadata.float(), kind)
    )
    assert found.dtype == torch.float64
    expected = Gradient()(net, x, 1, extra=(metadata, kind))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)  # weights and metadata are rounded to float32


def test_a_prepared_model_keeps_its_rows_until_others_are_given(net):
    x, extra = images(3), extra_of()
    prepared = prepare(net, extra=extra)
    other = rows_of(extra, [1, 2, 0])
    assert torch.equal(Gradient()(prepared, x, 0), Gradient()(net, x, 0, extra=extra))
    assert torch.equal(Gradient()(prepared, x, 0, extra=other), Gradient()(net, x, 0, extra=other))
    assert torch.equal(Gradient()(prepare_like(net, prepared), x, 0), Gradient()(prepared, x, 0))
    assert torch.equal(Gradient()(prepared.of_images(slice(1, 3)), x[1:], 0)[0], Gradient()(prepared, x, 0)[1])


def test_versions_explained_together_have_the_maps_of_each_alone(net):
    x, prepared = images(3), prepare(net, chunk=2, extra=extra_of())
    randomizer = Randomizer(net, automatic_stages(net, x, extra=prepared.extra), Reset())
    views = [prepare_like(step.model, prepared) for step in randomizer.steps(start=1)]
    methods = {"gradient": Gradient(), "guided": GuidedBackprop(), "sg": SmoothGrad(samples=2)}
    together = attribute_variants([Variant(view, TARGETS) for view in views], x, methods)
    for view, maps in zip(views, together, strict=True):
        alone = attribute(view, x, TARGETS, methods)
        assert all(torch.equal(maps[name], alone[name]) for name in methods)


# ---------------------------------------------------------------- probes


def test_probes_see_the_further_inputs(net):
    x, extra = images(3), extra_of()
    assert "gate" in {call.path for call in execution_order(net, x, extra)}
    assert used_parameters(net, x, extra=extra) == dict(net.named_parameters()).keys()
    assert relu_coverage(net, x, extra=extra).guided == 4
    assert find_feature_map(prepare(net, extra=extra), x).path == "conv3"
    plan = automatic_stages(net, x, extra=extra)
    assert {path for stage in plan.stages for path in stage.modules} >= {"gate", "kinds", "conv1", "head"}
    everything = [name for name, _ in net.named_children() if name != "gate"]
    with pytest.raises(ModelError, match="gate"):
        stages_from_table(net, [("all", everything)], images=x, extra=extra)


def test_batch_norms_are_folded_with_the_further_inputs(net):
    x, extra = images(3), extra_of()
    folded = prepare(net, fold_batch_norm=True, example=x, extra=extra)
    assert [each.batch_norm for each in folded.folds] == ["bn1"]
    torch.testing.assert_close(Gradient()(folded, x, 0), Gradient()(net, x, 0, extra=extra), rtol=1e-11, atol=1e-14)


class MeetingInMetadata(TwoInputs):
    def forward(self, x: Tensor, metadata: Tensor, kind: Tensor) -> Tensor:
        return super().forward(x, metadata - metadata.mean(0), kind)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rows_that_meet_in_a_further_input_are_refused(precision):
    with pytest.raises(ModelError, match="depend on the other images"):
        Gradient()(seeded(MeetingInMetadata), images(3), extra=extra_of(), precision=precision)


# ---------------------------------------------------------------- checks


@pytest.mark.parametrize("check", ["sanity", "quality"])
def test_checks_of_a_model_that_ignores_its_further_input_are_those_of_the_model_without_it(check):
    plain, ignoring, x = seeded(ConvNet), seeded(Ignoring), images(3)
    methods = {"gradient": Gradient(), "smoothgrad": SmoothGrad(samples=2)}
    if check == "sanity":
        run = partial(sanity_check, methods=methods, metrics=["spearman"])
    else:
        run = partial(quality_scores, methods=methods, metrics=["infidelity", "max-sensitivity"])
    found, expected = run(ignoring, x, extra=extra_of()[:1]), run(plain, x)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-10, atol=1e-12)


class Ignoring(ConvNet):
    def forward(self, x: Tensor, metadata: Tensor) -> Tensor:
        return super().forward(x + 0 * metadata.sum(1)[:, None, None, None])


def test_checks_cut_the_further_inputs_with_the_images(net, tmp_path):
    """Of 20 images, more than a block holds, the last scores what it scores alone."""
    x, extra, methods = images(20), extra_of(20), {"gradient": Gradient(), "smoothgrad": SmoothGrad(samples=2)}
    last = slice(19, 20)
    names = {"image_names": ["nineteen"], "extra": rows_of(extra, last)}
    for check, metrics in ((sanity_check, ["spearman"]), (quality_scores, ["sensitivity-n"])):
        plan = Randomizer(net, stages_from_table(net, [("all", list(dict(net.named_children())))]), Reset())
        options = {"methods": methods, "metrics": metrics, "randomizer": plan}
        found = check(net, x, extra=extra, **options)
        alone = check(net, x[last], **options, **names)
        np.testing.assert_allclose(found.scores[..., 19:, :], alone.scores, rtol=1e-9, atol=1e-12)


def test_stored_cells_belong_to_the_further_inputs(net, tmp_path):
    x, extra = images(3), extra_of()
    run = partial(sanity_check, net, x, TARGETS, methods=["gradient"], metrics=["spearman"], cells=tmp_path)
    first = run(extra=extra)
    stored = len(list(tmp_path.iterdir()))
    assert np.array_equal(run(extra=extra).scores, first.scores)
    assert len(list(tmp_path.iterdir())) == stored
    run(extra=(extra[0] + 1, extra[1]))
    assert len(list(tmp_path.iterdir())) == 2 * stored


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, k: m, "Tensor.*tuple"),
        (lambda m, k: 3, "int.*tuple"),
        (lambda m, k: (m, 3), r"extra\[1\] is a int"),
        (lambda m, k: (m.numpy(), k), r"extra\[0\] is a ndarray"),
        (lambda m, k: (m[:2], k), r"extra\[0\] has 2 rows for 3 images"),
        (lambda m, k: (m, k[0]), r"extra\[1\] .* shape \(\)"),
        (lambda m, k: (m.to("meta"), k), r"extra\[0\] is on meta"),
        (lambda m, k: (m.to_sparse(), k), r"extra\[0\] .*sparse"),
    ],
)
@pytest.mark.parametrize("check", [attribute, sanity_check, quality_scores])
def test_further_inputs_that_are_not_usable_are_named(check, change, message, net):
    counter = CallCounter(net)
    with unchecked(), pytest.raises(InvalidInput, match=message):
        check(counter, images(3), methods=[Gradient()], extra=change(*extra_of()))
    assert not counter.calls, "refused before the model is called"


@pytest.mark.parametrize("method", ["gradient", "grad-cam", "deeplift"])
@pytest.mark.parametrize("extra", [None, extra_of()[:1], (*extra_of(), torch.zeros(3))])
def test_a_call_that_the_signature_does_not_take_is_named(extra, method, net):
    with pytest.raises(ModelError, match=r"TwoInputs takes .*metadata.*kind.*extra="):
        METHODS[method](net, images(3), extra=extra)


def test_a_type_error_of_the_models_own_stays_what_it_is():
    class Wrong(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + "one"

    with pytest.raises(TypeError):
        Gradient()(seeded(Wrong), images(3))
