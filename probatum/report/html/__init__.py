"""The report of a run folder as one HTML file that needs nothing else."""

from probatum.report.html.write import write_page

__all__ = ["write_page"]
