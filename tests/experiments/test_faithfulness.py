"""Sanity beside faithfulness: the adversary passes one check and is chance in the other; ranks are those of scipy."""

from dataclasses import replace

import numpy as np
import pytest
from nets import ConvNet, images, seeded
from scipy.stats import spearmanr

from probatum.attributions import EdgeDetector, GradCAM, Gradient, InputXGradient
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments import NoiseOfWeights, judge, quality_scores, sanity_and_faithfulness, sanity_check

SHAPE = (2, 12, 12)
METHODS = {
    "gradient": Gradient(),
    "product": InputXGradient(),
    "cam": GradCAM(),
    "edges": EdgeDetector(),
    "noise": NoiseOfWeights(),
}


@pytest.fixture(scope="module")
def results():
    net, x = seeded(ConvNet), images(8, SHAPE)
    net.head.weight.data *= 20  # so that probabilities move
    sanity = sanity_check(net, x, methods=METHODS, metrics=("spearman", "entropy-rise"), trials=2)
    return sanity, quality_scores(net, x, methods=METHODS, metrics=("deletion", "insertion"))


def test_the_adversary_is_sensitive_and_has_no_faithfulness(results):
    sanity, quality = results
    joint = sanity_and_faithfulness(sanity, quality, adversary="noise")
    points = {point.method: point for point in joint.points}
    assert points["noise"].sanity.word == "sensitive"
    assert abs(points["noise"].sanity.value) < 0.1
    assert float(points["noise"].gain.mean) == 0
    assert points["noise"].word == "at or below chance"
    assert points["product"].word == "above chance"
    expected = (quality.of("noise", "deletion") - quality.of("product", "deletion"))[0, :, 0].mean()
    assert float(points["product"].gain.mean) == pytest.approx(expected)
    assert "adversary" in repr(joint)
    assert len(joint.to_pandas()) == len(METHODS)
    assert joint.plot().axes[0].get_xlabel() == "share retained, spearman"


@pytest.mark.parametrize(("name", "sign"), [("deletion", -1), ("insertion", 1)])
def test_the_rank_correlation_is_that_of_scipy(results, name, sign):
    sanity, quality = results
    joint = sanity_and_faithfulness(sanity, quality, quality_metric=name, adversary="noise")
    ranked = [method for method in METHODS if method != "noise"]
    shares = [judge(sanity).of(method, "spearman").value for method in ranked]
    means = [quality.of(method, name)[0, :, 0].mean() for method in ranked]
    expected = spearmanr(-np.array(shares), sign * np.array(means)).statistic
    assert float(joint.correlation.mean) == pytest.approx(expected)
    assert joint.correlation.low <= joint.correlation.mean <= joint.correlation.high


def test_what_does_not_fit_together_is_refused(results):
    sanity, quality = results
    alone = sanity_and_faithfulness(sanity, replace(quality, methods=("gradient", "a", "b", "c", "d")))
    assert [point.word for point in alone.points] == ["undecided"]
    assert "no rankings" in repr(alone)
    with pytest.raises(InvalidInput, match="no method in common"):
        sanity_and_faithfulness(sanity, replace(quality, methods=tuple("abcde")))
    with pytest.raises(InvalidInput, match="other images"):
        sanity_and_faithfulness(sanity, replace(quality, image_names=tuple("abcdefgh")))
    with pytest.raises(InvalidInput, match="no share"):
        sanity_and_faithfulness(sanity, quality, metric="entropy-rise")
    with pytest.raises(UnknownName, match="noise"):
        sanity_and_faithfulness(sanity, quality, adversary="nois")
    with pytest.raises(UnknownName, match="deletion"):
        sanity_and_faithfulness(sanity, quality, quality_metric="deletoin")
