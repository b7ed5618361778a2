"""recipe-runner: recipes for serving models with vLLM that run, check, measure and prove themselves."""

__version__ = "0.1.0"
