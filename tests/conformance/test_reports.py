"""Our own reports, proven as anybody's are."""

from recipe_runner.conformance.reports import ReportProof


class TestCsv(ReportProof):
    block = {"uses": "csv"}


class TestHtml(ReportProof):
    block = {"uses": "html"}


class TestJson(ReportProof):
    block = {"uses": "json"}


class TestJunit(ReportProof):
    block = {"uses": "junit"}


class TestMarkdown(ReportProof):
    block = {"uses": "markdown"}
