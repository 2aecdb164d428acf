"""Choice of a module and its place in a network under a budget."""
