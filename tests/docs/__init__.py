"""The documentation: what its pages show, and the site in a browser."""
