"""What a job will take, before it runs: tokens, time and memory, each with its assumptions."""
