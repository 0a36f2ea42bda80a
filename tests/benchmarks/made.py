"""Records made by hand."""

from probatum.benchmarks import Entry, Record

ENVIRONMENT = {
    "date": "2020-01-02T03:04:05+00:00",
    "commit": None,
    "versions": {"torch": "2.9", "captum": None},
    "device": "cpu",
    "device_type": "cpu",
    "processor": "an abacus",
    "cores": 2,
    "threads": 1,
    "load": 0.0,
}


def record(*entries, lines=(), suite="methods"):
    return Record(suite, "a title", {"quick": False}, ENVIRONMENT, entries, tuple(lines))


TIMES = record(
    Entry("Gradient", "probatum", seconds=(1.0, 2.0, 4.0), gradients=8, maps=8, error=1e-7),
    Entry("Gradient", "bare", seconds=(0.5, 1.0, 4.0), gradients=8),
    Entry("Gradient", "Captum", "defaults", (3.0, 4.0, 6.0), maps=8, note="slow | and wrong", error=0.25),
    lines=["Quantus is not installed"],
)
CURVES = record(
    *(Entry("IG-SG", "probatum", f"nested {n} × 4", gradients=4 * n, scores={"relative L2": 1 / n}) for n in (2, 4)),
    *(Entry("IG-SG", "probatum", f"joint {n}", gradients=n, scores={"relative L2": 2 / n}) for n in (4, 8)),
    suite="estimators",
)
MEMORY = record(
    Entry("SmoothGrad", "probatum", "1 image, 10 points each", gradients=10, memory=100 << 20),
    Entry("SmoothGrad", "probatum", "1 image, 50 points each", gradients=50, memory=110 << 20),
    Entry("SmoothGrad", "Captum", "1 image, 10 points each", gradients=10, memory=300 << 20),
    Entry("SmoothGrad", "Captum", "1 image, 50 points each", gradients=50, note="beyond the cap"),
    suite="memory",
)
SHARED = record(
    Entry("a network", "probatum", "share retained by gradient", scores={"ssim": 0.1, "spearman": -0.05}),
    Entry("a network", "probatum", "share retained by edges", scores={"ssim": 1.0}),
    Entry("a network", "probatum", "verdicts that turn into their opposite", scores={"value": 0.0}),
)
SUBJECT = "Net, 2 × 3×8×8"
ROOFLINE = record(
    Entry(f"bare model, {SUBJECT}", "machine", "matrix product", (1.0, 1.0), flops=10**9),
    Entry(f"bare model, {SUBJECT}", "machine", "copy", (1.0, 1.0), traffic=10**9),
    Entry(f"bare model, {SUBJECT}", "bare", "gradient", (4.0, 8.0), gradients=2, flops=2 * 10**9, traffic=10**8),
    Entry(f"bare model, {SUBJECT}", "bare", "forward", (1.0, 2.0)),
    Entry(f"Gradient, {SUBJECT}", "probatum", seconds=(1.5, 3.0), gradients=2, maps=2, error=1e-7),
    Entry(f"Gradient, {SUBJECT}", "bare", seconds=(1.0, 2.0), gradients=2),
    Entry(f"Edges, {SUBJECT}", "probatum", seconds=(0.5, 0.5), gradients=0, maps=2),
    suite="roofline",
)
