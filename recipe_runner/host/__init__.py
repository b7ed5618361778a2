"""This machine: its GPUs, its vLLM, what runs on it lease."""
