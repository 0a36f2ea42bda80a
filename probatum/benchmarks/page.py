"""The page of a benchmark: the machine, the bare model beside it, each method beside the bare model, all tables."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from probatum.benchmarks.compare import LEAST_WINDOWS, TOLERANCE, Change, read_changes
from probatum.benchmarks.kind import BENCHMARK
from probatum.benchmarks.record import Entry, Record, read_records
from probatum.benchmarks.roofline import ROOFLINE, BareModel, MethodCost, bare_models, method_costs
from probatum.benchmarks.tables import protocol, seconds_in_words, table
from probatum.benchmarks.timing import Spread
from probatum.experiments.tables import count
from probatum.report.html.page import render
from probatum.report.html.pictures import stored_figure
from probatum.report.html.words import number

_PLOT = (420.0, 260.0)  # units of the roofline plot, about pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 12.0, 36.0
_BAR = 200.0  # units of a bar of overhead
_WIDEST = 3.0  # times the bare model, at the right end of a bar
_BADGES = {"slower": "bad", "faster": "good", "same": "open", "open": "open"}
_WORDS = {"slower": "slower", "faster": "faster", "same": "no change", "open": "too few windows"}


def bench_page(folder: Path, config: dict[str, Any]) -> str:
    """The page of a folder of `probatum bench`, whose `config.json` was read."""
    records, (changes, lines) = read_records(folder / "record.json"), read_changes(folder)
    request = BENCHMARK.request(folder)
    roofline = next((record for record in records if record.suite == ROOFLINE), None)
    bare = bare_models(roofline) if roofline is not None else []
    costs = method_costs(roofline) if roofline is not None else []
    return render(
        "bench.html.j2",
        title=_title(records, bare),
        story=_story(bare, costs, changes, request.compare),
        warnings=["A quick run: every part was small, and its times mean nothing."] if request.config.quick else [],
        bare=[_bare_row(each) for each in bare],
        plot=_plot(bare) if bare else None,
        costs=[_cost_row(each) for each in costs],
        cost_lines=list(roofline.lines) if roofline is not None else [],
        changes=[_change_row(change) for change in changes],
        compared=request.compare is not None,
        compared_lines=lines,
        tolerance=f"{TOLERANCE:.0%}",
        least_windows=LEAST_WINDOWS,
        bar=_BAR,
        unit=_bar_place(1.0),
        suites=[_suite(record, folder) for record in records if record.suite != ROOFLINE],
        facts=_facts(records[0]),
        commands=[("In the folder of this page:", "probatum rerun . --out ../again")],
        data=None,
    )


def _title(records: Sequence[Record], bare: Sequence[BareModel]) -> str:
    return f"Speed of {bare[0].subject.partition(',')[0]}" if bare else f"Benchmarks: {records[0].title}"


def _story(
    bare: Sequence[BareModel], costs: Sequence[MethodCost], changes: Sequence[Change], compared: str | None
) -> str:
    sentences = []
    for each in bare[-1:]:
        sentences.append(
            f"The bare model, one forward pass and one input gradient of {each.subject.partition(', ')[2]}, takes "
            f"{seconds_in_words(each.gradient.time.median)}: {number(100 * each.share.median, 0)} % of what the "
            f"machine's {each.limit} allows."
        )
    known = [each.overhead.median for each in costs if each.overhead is not None]
    if known:
        sentences.append(
            f"Methods take {number(min(known))} to {number(max(known))} times as long as the bare model with as many "
            "passes."
        )
    if compared is not None:
        slower = sum(change.word == "slower" for change in changes)
        sentences.append(f"Beside the stored record, {count(slower, 'time')} of {len(changes)} grew.")
    return " ".join(sentences) or "Times, memory and agreement as they were measured."


def _bare_row(each: BareModel) -> dict[str, Any]:
    work = each.work
    return {
        "subject": each.subject,
        "time": _times(each.gradient),
        "forward": seconds_in_words(each.forward.time.median),
        "gradients": f"{each.gradient.per_second(each.gradient.gradients) or math.nan:.3g}",
        "flops": f"{work.flops / 1e9:.3g}",
        "traffic": f"{work.traffic / 1e6:.3g}",
        "intensity": f"{each.intensity:.3g}",
        "speed": f"{each.speed / 1e9:.3g}",
        "product": f"{each.flops_per_second / 1e9:.3g}",
        "bandwidth": f"{each.bytes_per_second / 1e9:.3g}",
        "limit": each.limit,
        "share": [f"{100 * value:.0f} %" for value in each.share],
    }


def _cost_row(each: MethodCost) -> dict[str, Any]:
    overhead = each.overhead
    maps = each.ours.per_second(each.ours.maps)
    passes = None if each.ours.gradients is None or not each.ours.maps else each.ours.gradients / each.ours.maps
    return {
        "title": each.title,
        "subject": each.subject,
        "time": _times(each.ours),
        "maps": f"{maps or math.nan:.3g}",
        "passes": "" if passes is None else f"{passes:g}",
        "value": math.nan if overhead is None else overhead.median,
        "overhead": None if overhead is None else [number(value) for value in overhead],
        "bar": None if overhead is None else [_bar_place(value) for value in overhead],
        "error": "" if each.ours.error is None else f"{each.ours.error:.0e}",
        "note": each.ours.note or ("" if overhead is not None else "calls no model"),
    }


def _bar_place(overhead: float) -> float:
    return round(min(overhead, _WIDEST) / _WIDEST * _BAR, 1)


def _change_row(change: Change) -> dict[str, Any]:
    return {
        "name": f"{change.contest}, {change.name}",
        "unit": "× bare" if change.unit == "bare" else "s",
        "before": f"{change.before:.3g}",
        "now": f"{change.now:.3g}",
        "value": change.ratio,
        "ratio": number(change.ratio),
        "ends": [number(change.low), number(change.high)],
        "badge": _BADGES[change.word],
        "word": _WORDS[change.word],
    }


def _plot(bare: Sequence[BareModel]) -> dict[str, Any]:
    """The roofline in logarithms: speed over intensity, the roofs of the first batch and a point for each."""
    roof = bare[0]
    ridge = roof.flops_per_second / roof.bytes_per_second
    intensities = [ridge, *(each.intensity for each in bare)]
    speeds = [roof.flops_per_second, *(each.speed for each in bare)]
    left, right = _decades(min(intensities) / 2, max(intensities) * 2)
    bottom, top = _decades(min(speeds) / 2, max(speeds) * 1.5)
    width, height = _PLOT

    def x(intensity: float) -> float:
        share = (math.log10(intensity) - left) / (right - left)
        return round(_LEFT + share * (width - _LEFT - _RIGHT), 1)

    def y(speed: float) -> float:
        share = (math.log10(speed) - bottom) / (top - bottom)
        return round(height - _BOTTOM - share * (height - _TOP - _BOTTOM), 1)

    start = max(10.0**left, 10.0**bottom / roof.bytes_per_second)
    line = [
        (x(start), y(start * roof.bytes_per_second)),
        (x(ridge), y(roof.flops_per_second)),
        (x(10.0**right), y(roof.flops_per_second)),
    ]
    return {
        "width": width,
        "height": height,
        "frame": (_LEFT, _TOP, width - _RIGHT, height - _BOTTOM),
        "roof": " ".join(f"{a},{b}" for a, b in line),
        "across": [(x(10.0**power), f"{10.0**power:g}") for power in range(left, right + 1)],
        "up": [(y(10.0**power), f"{10.0 ** (power - 9):g}") for power in range(bottom, top + 1)],
        "dots": [
            (
                x(each.intensity),
                y(each.speed),
                f"{each.subject}: {each.speed / 1e9:.3g} GFLOP/s at {each.intensity:.3g} FLOP/byte",
                each.subject.partition(", ")[2].partition(" ")[0],
            )
            for each in bare
        ],
    }


def _decades(low: float, high: float) -> tuple[int, int]:
    """Powers of ten around two values."""
    return math.floor(math.log10(low)), math.ceil(math.log10(high))


def _suite(record: Record, folder: Path) -> dict[str, Any]:
    headings, rows = table(record)
    picture = stored_figure(folder / f"{record.suite}.png")
    return {
        "name": record.suite,
        "title": record.title,
        "headings": headings,
        "rows": rows,
        "lines": record.lines,
        "picture": None if picture is None else dict(zip(("uri", "width", "height"), picture, strict=True)),
    }


def _times(entry: Entry) -> list[str]:
    return [seconds_in_words(value) for value in _median_first(entry.time)]


def _median_first(values: Spread) -> tuple[float, float, float]:
    return values.median, values.low, values.high


def _facts(record: Record) -> list[tuple[str, str]]:
    facts = record.environment
    return [
        ("Device", str(facts["device"])),
        ("Processor", str(facts["processor"])),
        ("Threads", f"{facts['threads']} of {facts['cores']} cores"),
        ("Load before", str(facts["load"])),
        ("Measured", protocol(record)),
    ]
