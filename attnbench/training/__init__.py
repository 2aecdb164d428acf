"""Training of one network with one seed: recipes, data loading, loop, checkpoints."""
