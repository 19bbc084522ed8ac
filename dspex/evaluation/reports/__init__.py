"""Reports in other forms: a page, tables, a plot in the terminal.

- `report_page` and `comparison_page` make pages of HTML that load nothing, run nothing, and fit a
  phone, a dark room and paper.
- `write_csv` and `write_parquet` write one row per example.
- `plot` draws the distribution of scores in a terminal.

Invariants. A page is bounded: of a million outcomes it shows a few dozen, and says how many it
leaves out. Whatever a model, a dataset or an error said is text, and stays text. A file is written
whole or not at all. Outcomes are read one at a time.

How it fails. A dataset that is not that of the run is refused with the first example that differs;
a missing library names the extra that has it; a file that cannot be written leaves the old one.
"""

from __future__ import annotations

from dspex.evaluation.reports.comparison_page import comparison_page
from dspex.evaluation.reports.files import replacing, write_text
from dspex.evaluation.reports.plot import plot
from dspex.evaluation.reports.report_page import report_page
from dspex.evaluation.reports.summary import summary
from dspex.evaluation.reports.tables import write_csv, write_parquet

__all__ = (
    "comparison_page",
    "plot",
    "replacing",
    "report_page",
    "summary",
    "write_csv",
    "write_parquet",
    "write_text",
)
