"""The report: one page of all figures and claims."""
