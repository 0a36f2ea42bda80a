"""Gradients per second at large batches: each precision, beside the bare model in the same one and Captum."""

from probatum.benchmarks.config import PAPERS, QUICK, BenchConfig, Subject
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.rivals import CAPTUM, absent
from probatum.benchmarks.suites.findings import Findings
from probatum.benchmarks.suites.precision import gradients, possible_settings

MODELS = ("resnet50", "inception_v3", "vit_b_16")
BATCHES = (64, 256, 512)
ROUNDS = 3


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Holds a contest of gradients for each model and batch, of the largest batch last."""
    findings = Findings(lines=absent((CAPTUM,)))
    models = (config.model,) if config.model else ("squeezenet1_0",) if config.quick else MODELS
    batches = config.batch or ((2,) if config.quick else BATCHES)
    for batch in batches:
        for model in models:
            subject = Subject.load(config.of_batch(batch), model, batch)
            settings, refused = possible_settings(subject)
            findings.lines += [line for line in refused if line not in findings.lines]
            sizes = QUICK if config.quick else PAPERS
            findings.add(arena.compete(f"Gradient, {subject}", gradients(subject, settings, sizes), ROUNDS))
    return findings
