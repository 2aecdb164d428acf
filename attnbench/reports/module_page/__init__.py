"""Page of one module, as ``attnbench show module`` writes it."""
