"""Sweeps: the paper's ablations and our own as lists of jobs, and the tables they end in."""
