"""Peak memory of every method on one image of many pixels or for a large network, each in a process of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from probatum.attributions import METHODS, get_method, title_of
from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.record import BOUND, OURS, PROCESS, Entry
from probatum.benchmarks.suites.findings import Findings
from probatum.benchmarks.suites.memory import measured
from probatum.experiments.options import set_fields

STEADY = 1.25  # times the memory with few points that more may take: what the allocator keeps differs by an eighth
POINTS = (2, 4)  # samples or steps
WINDOWS = 2  # of occlusion, along each side of the image
SECONDS = 600  # of one measurement
NAMES = tuple(name for name, entry in METHODS.items() if not (entry.control or name.endswith("-local")))


@dataclass(frozen=True)
class LargeCase:
    """One image for one network.

    Args:
        model: by name.
        input_size: height and width in pixels; None is the network's own.
        names: of the methods.
    """

    model: str
    input_size: int | None = None
    names: tuple[str, ...] = NAMES


CASES = (LargeCase("squeezenet1_0", 1024), LargeCase("resnet50", 1024), LargeCase("vit_l_16"))
QUICK_CASES = (LargeCase("squeezenet1_0", 96, ("gradient", "smoothgrad")),)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Measures every method with few points and, where it has samples or steps, with more."""
    findings = Findings()
    for case in _cases(config):
        here = replace(config, model=case.model, input_size=case.input_size)
        spec = here.spec(case.model)
        for name in case.names:
            title = f"{title_of(name)}, {spec.title}, {spec.input_size} pixels"
            arena.progress(title)
            entries = list[Entry]()
            for points in POINTS if _has_points(name) else POINTS[:1]:
                answer = measured(here, case.model, 1, name, _options(points, spec.input_size), seconds=SECONDS)
                if "failure" in answer:
                    findings.lines.append(f"{title}: {answer['failure']}")
                    break
                entries.append(_entry(title, f"{points} points" if _has_points(name) else "", answer))
            findings.entries += entries
            findings.lines += _excesses(entries)
    return findings


def _cases(config: BenchConfig) -> tuple[LargeCase, ...]:
    """The cases under the options given."""
    cases = QUICK_CASES if config.quick else CASES
    if config.model is not None:
        cases = (LargeCase(config.model, names=cases[0].names),)
    return tuple(
        replace(case, input_size=config.input_size or case.input_size, names=config.methods or case.names)
        for case in cases
    )


def _has_points(name: str) -> bool:
    """True for a method that averages over samples or steps."""
    return bool(set_fields(get_method(name), {"samples": 1, "steps": 1})[1])


def _options(points: int, input_size: int | None) -> dict[str, int]:
    """Few windows, or so many samples and steps, by the fields of methods."""
    windows = {} if input_size is None else dict.fromkeys(("window", "stride"), input_size // WINDOWS)
    return {"samples": points, "steps": points, **windows}


def _entry(title: str, variant: str, answer: dict[str, int | None]) -> Entry:
    memory, process = answer["memory"], answer["process"]
    scores = {} if process is None else {PROCESS: process / 2**30}
    return Entry(title, OURS, variant, maps=1, memory=memory, scores=scores)


def _excesses(entries: list[Entry]) -> Iterator[str]:
    """Says of a method where it exceeds the bound, and where its memory grows with its points."""
    for entry in entries:
        if entry.scores.get(PROCESS, 0) > BOUND:
            yield f"{entry.contest}: the process exceeds {BOUND} GiB"
    memory = [entry.memory for entry in entries if entry.memory is not None]
    if memory and max(memory) > STEADY * memory[0]:
        yield f"{entries[0].contest}: more points take more memory"
