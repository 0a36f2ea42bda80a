"""The laws, by what they are about; importing this package fills the table `LAWS`."""

from probatum.conformance.laws import correctness, independence, invariance, randomness, state, types

__all__ = ["correctness", "independence", "invariance", "randomness", "state", "types"]
