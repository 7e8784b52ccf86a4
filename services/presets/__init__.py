"""Named, versioned job specifications to start from."""
