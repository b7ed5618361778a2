"""End to end on real vLLM for CPU; `recipe-run setup cpu` builds it."""
