"""What one case gives: its measurement."""
