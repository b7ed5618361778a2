"""One module a verb; `cli` imports only the one that was typed.

Each has `SUMMARY`, `add_arguments(parser)` and `run(args) -> int`, whose result is the exit code. One that takes a name
also has `names()`: what there is to be named.
"""
