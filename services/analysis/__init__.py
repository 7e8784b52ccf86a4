"""The figures of the paper, measured on a job: tokens, transitions, computation, objectives."""
