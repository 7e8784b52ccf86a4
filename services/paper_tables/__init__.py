"""Tables 1 and 2 of the paper: its own numbers, and the same tables from runs."""
