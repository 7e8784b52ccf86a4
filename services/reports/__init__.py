"""Reports on a job: what changed, measured, with plots and examples."""
