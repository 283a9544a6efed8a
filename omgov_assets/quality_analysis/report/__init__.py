"""The morning report of a day: one page that says what is wrong, where it comes from, whose it is and whether it gets
better, and a page for each business system, site, support group and owner.

Static HTML in the firm's languages, without script; nothing is loaded from elsewhere. Does not belong here: computing
statistics, rankings or scores. The pages hold names of owners and groups, but neither their addresses nor any value of
a record.
"""

from omgov_assets.quality_analysis.report.morning import Morning, read_morning
from omgov_assets.quality_analysis.report.writing import Edition, WrittenReport, write_report

__all__ = ["Edition", "Morning", "WrittenReport", "read_morning", "write_report"]
