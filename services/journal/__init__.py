"""What a driver writes into the job store, kept on disk while the store is away."""
