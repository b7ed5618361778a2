"""`embedding`: texts have vectors, and those of like meaning have like ones."""

import itertools
import math
from collections.abc import Sequence

from pydantic import Field

from recipe_runner.api import Check, Client, Outcome, failed, passed

Vector = Sequence[float]


class Embedding(Check):
    """Each text has a vector of numbers that are not all zero, and those of `alike` are nearer to one another than to
    those of `different` (by the cosine of their angle).

    vLLM needs a model for embeddings: `serve.runner: pooling`, unless it sees that by itself.
    """

    alike: list[str] = Field(default=["A cat sleeps on the sofa.", "The cat is asleep on the sofa."], min_length=2)
    """Texts that mean the same."""
    different: list[str] = Field(default=["Central banks raised interest rates this spring."], min_length=1)
    """Texts that mean something else."""
    dimension: int | None = Field(default=None, ge=1)
    """How many numbers a vector has."""

    def run(self, server: Client) -> Outcome:
        texts = [*self.alike, *self.different]
        vectors = server.embed(texts)
        if len(vectors) != len(texts):
            return failed(f"{len(vectors)} vectors for {len(texts)} texts")
        for text, vector in zip(texts, vectors, strict=True):
            if wrong := self._wrong(vector, len(vectors[0])):
                return failed(f"the vector of {text!r} {wrong}")
        return self._compared(vectors[: len(self.alike)], vectors[len(self.alike) :])

    def _wrong(self, vector: Vector, first: int) -> str:
        wanted = self.dimension or first
        if len(vector) != wanted:
            return f"has {len(vector)} numbers, not {wanted}"
        if not all(map(math.isfinite, vector)):
            return "has a number that is not finite"
        return "" if any(vector) else "is all zero"

    def _compared(self, alike: Sequence[Vector], different: Sequence[Vector]) -> Outcome:
        near = min(cosine(one, two) for one, two in itertools.combinations(alike, 2))
        far = max(cosine(one, two) for one in alike for two in different)
        found = f"cosine ≥ {near:.3f} where alike, ≤ {far:.3f} where different"
        if near <= far:
            return failed(f"what is alike is no nearer than what is different: {found}")
        return passed(f"{len(alike[0])} numbers a vector; {found}")


def cosine(one: Vector, two: Vector) -> float:
    """How near two directions are: 1 if they are the same."""
    return sum(a * b for a, b in zip(_unit(one), _unit(two), strict=True))


def _unit(vector: Vector) -> Vector:
    """The same direction, of length 1; by the largest first, as products of very small numbers are 0."""
    largest = max(map(abs, vector))
    length = math.hypot(*(value / largest for value in vector))
    return [value / largest / length for value in vector]
