"""What a control plane remembers besides its jobs: who may do what, what was asked before, what was
done, and whom to tell."""
