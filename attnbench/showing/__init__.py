"""All that is known of one module, as ``attnbench show module`` writes it."""
