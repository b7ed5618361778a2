"""Checks: each asks the server something and judges the answer."""
