"""Conformance: tests with which the author of a plugin proves it; `pytest` runs them. docs/how-to/prove-a-plugin.md."""
