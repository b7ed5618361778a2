"""What this package adds, proven."""

from recipe_runner.conformance.checks import CheckProof
from recipe_runner.conformance.reports import ReportProof


class TestBrief(CheckProof):
    block = {"uses": "brief", "prompt": "Say hello.", "most_words": 5}
    notices = ("wavering",)  # which adds a word
    refuses = (
        (
            {"most_words": 0},
            "validation.it.most_words — 0 does not fit here; it should be greater than or equal to 1",
        ),
    )


class TestLine(ReportProof):
    block = {"uses": "line"}
