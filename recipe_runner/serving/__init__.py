"""A server while it lives, and what its log tells."""
