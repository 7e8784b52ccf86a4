"""Where jobs, their events, metrics and commands are kept."""
