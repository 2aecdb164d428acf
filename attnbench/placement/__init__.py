"""Where modules go: the grammar, the sites of a backbone, and the insertion."""
