"""Quality of attributions of embeddings: by hand for one sentence, and the same whatever stands beside it."""

import numpy as np
import pytest
import torch

from probatum.attributions import IntegratedGradients
from probatum.experiments.text.cascade import text_stages
from probatum.experiments.text.quality import text_quality
from probatum.experiments.text.scores import text_baseline, token_scores
from probatum.metrics.quality import GaussianNoise, Infidelity, MaxSensitivity, Quality, infidelity, max_sensitivity
from probatum.models.text import EncoderSizes, make_text_model
from probatum.randomization import preset

SENTENCES = ("a good film", "the plot is not good", "a bad film", "it is good")
METRICS = {
    "infidelity": Quality("infidelity", "Infidelity", Infidelity(samples=6), "", True),
    "max-sensitivity": Quality("max-sensitivity", "Max-sensitivity", MaxSensitivity(samples=3), "", True),
}
TARGETS = [1, 0, 1, 0]


@pytest.fixture(scope="module")
def subject():
    made = make_text_model(SENTENCES, ("negative", "positive"), EncoderSizes(8, 2, 2, 12), max_tokens=12, seed=1)
    with torch.no_grad():  # weights of a trained size, so that scores are no rounding
        for parameter in made.network.parameters():
            parameter.mul_(3)
    return made


def methods(subject):
    baseline = text_baseline(subject, "pad")
    return {name: IntegratedGradients(4, baseline, multiply_by_inputs=name == "global") for name in ("global", "local")}


def test_it_is_what_the_metrics_say(subject):
    found = text_quality(
        subject, SENTENCES, methods(subject), TARGETS, metrics=METRICS, protocol="kokhlikyan", trials=2
    )
    assert found.stages == ("trained", "classifier", "pooler", "encoder.layer.1", "encoder.layer.0", "embeddings")
    assert found.scores.shape == (2, 2, 6, 4, 2)
    assert found.local_or_global == {"global": "global", "local": "local"}
    assert np.isfinite(found.scores).all()
    randomizer = preset("kokhlikyan").randomizer(subject.network, text_stages(subject, subject.encode(SENTENCES)[0]), 0)
    for stage, network in ((0, subject.network), (3, randomizer.model(3, 1))):
        for row, (sentence, target) in enumerate(zip(SENTENCES, TARGETS, strict=True)):
            embeddings = subject.embed(subject.encode([sentence]))

            def forward(points, _, network=network, target=target):
                with torch.no_grad():
                    return network(points)[:, target]

            for m, (name, method) in enumerate(methods(subject).items()):

                def explain(points, _, network=network, target=target, method=method):
                    return token_scores(method(network, points, target), normalize=False)

                maps = method(network, embeddings, target)
                if name == "global":  # removal of all words: the error of completeness
                    bare = embeddings.clone()
                    bare[:, 1:-1] = 0  # [PAD] is the zero embedding
                    change = forward(embeddings, None) - forward(bare, None)
                    expected = float((maps.sum() - change[0]) ** 2)
                else:
                    expected = float(infidelity(forward, embeddings, maps, GaussianNoise(0.03, 6)))
                moved = float(max_sensitivity(explain, embeddings, samples=3))
                # Squared differences of float32 logits.
                np.testing.assert_allclose(found.scores[m, 0, stage, row, 1], expected, rtol=1e-3, atol=1e-9)
                np.testing.assert_allclose(found.scores[m, 1, stage, row, 1], moved, rtol=1e-3)


def test_without_a_protocol_the_classifier_alone_is_scored(subject):
    ticks = []
    how = {"metrics": METRICS, "progress": lambda *call: ticks.append(call)}
    found = text_quality(subject, SENTENCES, methods(subject), TARGETS, **how)
    assert found.stages == ("trained",)
    assert ticks[0][1] == 4000
    alone = text_quality(subject, SENTENCES[1:2], methods(subject), TARGETS[1:2], metrics=METRICS)
    np.testing.assert_allclose(alone.scores[..., 0, :], found.scores[..., 1, :], rtol=1e-3, atol=1e-9)
