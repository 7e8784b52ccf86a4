"""Reports on a job: what changed, measured, with plots and examples."""

from services.reports.write import ReportError, write_report

__all__ = ["ReportError", "write_report"]
