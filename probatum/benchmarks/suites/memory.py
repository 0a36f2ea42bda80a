"""Peak memory of methods that take many gradients, each measurement in a process of its own."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

from probatum.attributions import METHODS
from probatum.benchmarks.config import PAPERS, QUICK, BenchConfig, Sizes
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.record import OURS, Entry
from probatum.benchmarks.rivals import CAPTUM, absent
from probatum.benchmarks.suites.findings import Findings
from probatum.models import model_spec

CAP = 12 << 30  # bytes that a measurement may take; beyond it stands what failed
SECONDS = 300


@dataclass(frozen=True)
class MemoryCase:
    """One call of one method.

    Args:
        method: by name.
        batch: images.
        sizes: samples and steps.
        joint: the joint estimator of IG-SG.
    """

    method: str
    batch: int
    sizes: Sizes = PAPERS
    joint: bool = False

    @property
    def options(self) -> dict[str, int]:
        """Samples and steps, by the method's fields."""
        if self.joint:
            return {"samples": self.sizes.joint}
        return {
            "smoothgrad": {"samples": self.sizes.samples},
            "integrated-gradients": {"steps": self.sizes.steps},
            "integrated-gradients-sg": {"samples": self.sizes.nested, "steps": self.sizes.steps},
        }[self.method]

    @property
    def gradients(self) -> int:
        """Of all images."""
        return self.batch * math.prod(self.options.values())

    @property
    def words(self) -> str:
        """Images and points in words."""
        points = self.gradients // self.batch
        nested = self.method == "integrated-gradients-sg" and not self.joint
        each = f"{self.sizes.nested} × {self.sizes.steps}" if nested else str(points)
        return f"{self.batch} image{'s' if self.batch > 1 else ''}, {each} points each"


_GROWING = (10, 50, 200)
CASES = (
    *(MemoryCase("smoothgrad", 1, replace(PAPERS, samples=n)) for n in _GROWING),
    *(MemoryCase("smoothgrad", batch, replace(PAPERS, samples=n)) for batch, n in ((8, 10), (8, 50), (32, 10))),
    *(MemoryCase("integrated-gradients", 1, replace(PAPERS, steps=n)) for n in _GROWING),
    MemoryCase("integrated-gradients", 8),
    MemoryCase("integrated-gradients-sg", 1),
    MemoryCase("integrated-gradients-sg", 8, joint=True),
)
QUICK_CASES = (
    MemoryCase("smoothgrad", 2, QUICK),
    MemoryCase("integrated-gradients-sg", 1, QUICK),
)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Measures every case with probatum's default budget and with Captum's defaults."""
    findings = Findings(lines=absent((CAPTUM,)))
    model = "squeezenet1_0" if config.quick else "resnet18"
    for case in QUICK_CASES if config.quick else CASES:
        case = replace(case, batch=config.one_batch or case.batch)
        method = METHODS[case.method].title + (" (joint)" if case.joint else "")
        title = f"{method}, {model_spec(config.model or model).title}"
        for rival in (False, True):
            if rival and (case.joint or not CAPTUM.installed):
                continue
            who = CAPTUM.name if rival else OURS
            arena.progress(f"{title}: {who}, {case.words}")
            name = f"{case.method}-joint" if case.joint else case.method
            answer = measured(config, model, case.batch, name, case.options, rival=case.sizes if rival else None)
            if "failure" in answer and not (rival and answer.get("memory_ran_out")):
                findings.lines.append(f"{title}: {who}, {case.words} failed: {answer['failure']}")
                continue
            findings.entries.append(
                Entry(
                    title,
                    who,
                    case.words,
                    gradients=case.gradients,
                    maps=case.batch,
                    memory=answer.get("memory"),
                    note=f"beyond the cap of {CAP >> 30} GiB ({answer['failure']})" if "failure" in answer else "",
                )
            )
    return findings


def measured(
    config: BenchConfig,
    model: str,
    batch: int,
    method: str,
    options: dict[str, int],
    *,
    rival: Sizes | None = None,
    seconds: int = SECONDS,
) -> dict[str, Any]:
    """Answer of a worker; one that dies or takes too long has failed.

    Args:
        config: of the benchmark.
        model: by name, where the configuration names none.
        batch: images.
        method: by name.
        options: of the method, by field.
        rival: the same for Captum, or None for probatum.
        seconds: that it may take.
    """
    job = {
        "config": asdict(config),
        "model": model,
        "batch": batch,
        "method": method,
        "options": options,
        "rival": None if rival is None else asdict(rival),
        "cap": CAP,
    }
    words = [sys.executable, "-m", "probatum.benchmarks.worker", json.dumps(job)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=True)
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    except subprocess.TimeoutExpired:
        return {"failure": f"not done after {seconds} s"}
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        return {"failure": f"the process ended with {error.returncode}: {' '.join(last)}"}
