"""Training of a network with a seed: recipes, data loading, loop, checkpoints."""
