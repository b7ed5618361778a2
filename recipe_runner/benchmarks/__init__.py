"""Benchmarks: each measures the server."""
