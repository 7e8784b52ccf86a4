"""Evaluations: what is asked, what is kept of each response, and the figures made of them."""
