"""What is made of finished evaluations: table 1 of several, and two of them side by side."""
