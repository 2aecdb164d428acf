"""Facts of this system: processor, versions, commit."""
