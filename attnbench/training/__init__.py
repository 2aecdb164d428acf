"""Training one network with one seed: recipes, data in batches, the loop, checkpoints."""
