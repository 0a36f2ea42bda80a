"""The bootstrap intervals that figures show; they are computed where results are judged."""

from probatum.experiments.intervals import RESAMPLES, Interval, bootstrap_interval

__all__ = ["RESAMPLES", "Interval", "bootstrap_interval"]
