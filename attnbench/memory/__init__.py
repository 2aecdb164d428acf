"""Memory of one inference: worked out from the exported graph."""
