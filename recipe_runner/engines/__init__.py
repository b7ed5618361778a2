"""Engines: how a server comes to be."""
