"""Plugins with one fault each, and their proofs; each class of proofs says in `found` by which tests it is found."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, field_validator

from recipe_runner.api import Benchmark, Check, Engine, Located, Outcome, Report, failed, passed
from recipe_runner.conformance.benchmarks import BenchmarkProof
from recipe_runner.conformance.checks import CheckProof
from recipe_runner.conformance.engines import EngineProof
from recipe_runner.conformance.reports import ReportProof

KEPT = []
HERE = Path(__file__).parent
LEAVES = "test_it_passes_on_a_good_server_and_leaves_nothing"


class Says(Check):
    """The server says something."""

    word: str = ""

    def run(self, server):
        self.leave()
        return passed() if server.chat([{"role": "user", "content": "Hi"}]).text else failed("nothing")

    def leave(self): ...


class TestSays(CheckProof):
    block = {"uses": "faulty_plugins:Says"}
    found: ClassVar = ()


class TestForgotten(CheckProof):
    found: ClassVar = {
        "test_it_loads_and_says_what_it_is": "AssertionError: TestForgotten — it does not say what it proves; "
        'set `block` to one that works, as in a recipe: block = {"uses": …}'
    }


class TestMisspelt(ReportProof):
    block = {"use": "json"}
    found: ClassVar = {
        "test_it_loads_and_says_what_it_is": "AssertionError: TestMisspelt — it does not say what it proves; "
    }


class Thread(Says):
    """Leaves a thread."""

    def leave(self):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()


class TestThread(CheckProof):
    block = {"uses": "faulty_plugins:Thread"}
    found: ClassVar = {LEAVES: "left behind: the thread Thread-"}


class File(Says):
    """Leaves a file."""

    def leave(self):
        (HERE / "left.txt").write_text("x")


class TestFile(CheckProof):
    block = {"uses": "faulty_plugins:File"}
    found: ClassVar = {LEAVES: "left behind: the file "}


class Variable(Says):
    """Leaves a variable."""

    def leave(self):
        os.environ["LEFT"] = str(time.monotonic())


class TestVariable(CheckProof):
    block = {"uses": "faulty_plugins:Variable"}
    found: ClassVar = {LEAVES: "left behind: the variable LEFT="}


class Socket(Says):
    """Leaves a socket."""

    def leave(self):
        KEPT.append(socket.socket())


class TestSocket(CheckProof):
    block = {"uses": "faulty_plugins:Socket"}
    found: ClassVar = {LEAVES: "left behind: the descriptor "}


class Process(Says):
    """Leaves a process."""

    def leave(self):
        KEPT.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"], cwd="/"))


class TestProcess(CheckProof):
    block = {"uses": "faulty_plugins:Process"}
    found: ClassVar = {LEAVES: "left behind: process "}


class Moves(Says):
    """Leaves us in another folder."""

    def leave(self):
        os.chdir("/" if Path.cwd() == HERE else HERE)


class TestMoves(CheckProof):
    block = {"uses": "faulty_plugins:Moves"}
    found: ClassVar = {LEAVES: "left behind: we are in "}


class Swallows(Says):
    """Takes an error for an answer."""

    def run(self, server):
        try:
            super().run(server)
        except Exception:
            return passed()
        return passed()


class TestSwallows(CheckProof):
    block = {"uses": "faulty_plugins:Swallows"}
    found: ClassVar = {
        "test_it_takes_nothing_broken_for_an_answer": "Outcome(verdict='passed'",
        "test_it_does_not_pass_where_the_server_dies": "Outcome(verdict='passed'",
    }


class SaysTooMuch(Says):
    """Claims to find what it does not."""


class TestSaysTooMuch(CheckProof):
    block = {"uses": "faulty_plugins:SaysTooMuch"}
    notices = ("off_topic",)
    found: ClassVar = {
        "test_it_notices_what_it_says_it_notices_and_no_more": "off_topic comes to passed (), and `notices` is "
    }


class Served(Check):
    """The model is served."""

    def run(self, server):
        return passed() if server.models() == [server.model] else failed("another")


class TestSaysTooLittle(CheckProof):
    block = {"uses": "faulty_plugins:Served"}
    found: ClassVar = {
        "test_it_notices_what_it_says_it_notices_and_no_more": "wrong_model comes to failed (another), and "
    }


class TakesAll(Says):
    """Takes any field."""

    model_config = ConfigDict(extra="allow")


class TestTakesAll(CheckProof):
    block = {"uses": "faulty_plugins:TakesAll"}
    found: ClassVar = {
        "test_its_schema_takes_what_it_takes": "assert not ",
        "test_an_unknown_field_is_refused": "unknown key no_such_field",
    }


class Vague(Says):
    """Refuses without saying where."""

    @field_validator("word", mode="before")
    @classmethod
    def _crashes(cls, value):
        return value + ""


class TestVague(CheckProof):
    block = {"uses": "faulty_plugins:Vague"}
    refuses = (({"word": ["a"]}, "validation.it.word — ['a'] does not fit here; it should be a word"),)
    found: ClassVar = {
        "test_a_value_that_does_not_fit_its_field_is_refused_there": "TypeError",
        "test_what_it_refuses_is_told_word_for_word": "TypeError",
    }


class Untold(Says):
    __doc__ = None


class TestUntold(CheckProof):
    block = {"uses": "faulty_plugins:Untold"}
    found: ClassVar = {"test_it_loads_and_says_what_it_is": "Untold has no docstring"}


class Invents(Benchmark):
    """Measures nothing, and says that it did."""

    metrics: ClassVar = ("requests",)

    def run(self, name, bench):
        return Outcome("measured", "", {"requests": 3, "other": 1})


class TestInvents(BenchmarkProof):
    block = {"uses": "faulty_plugins:Invents"}
    found: ClassVar = {
        "test_it_measures_a_good_server_and_leaves_nothing": "`metrics` does not name all of",
        "test_it_says_nothing_of_a_server_that_is_broken": "assert 'measured' not in ",
    }


class Eager(Engine):
    """Starts something as it looks."""

    url: str = "http://127.0.0.1:9"

    def locate(self):
        subprocess.run(["true"], check=True)
        return Located((), None)


class TestEager(EngineProof):
    block = {"uses": "faulty_plugins:Eager"}
    found: ClassVar = {"test_it_looks_without_starting_or_leaving_anything": "'subprocess.Popen'"}


class Nowhere(Engine):
    """Launches nothing, and does not say where a server is."""

    def locate(self):
        return Located((), None)


class TestNowhere(EngineProof):
    block = {"uses": "faulty_plugins:Nowhere"}
    found: ClassVar = {
        "test_it_looks_without_starting_or_leaving_anything": "it launches nothing, and has no field `url`",
        "test_its_server_becomes_ready_and_nothing_is_left_of_it": "unknown key url",
    }


class Changes(Report):
    """Changes what it is given."""

    def write(self, report, folder):
        report["verdict"] = "passed!"
        path = folder / "changed.json"
        path.write_text(json.dumps(report))
        return path


class TestChanges(ReportProof):
    block = {"uses": "faulty_plugins:Changes"}
    found: ClassVar = {"test_it_writes_what_a_run_came_to": "it changed what it was given"}


class Elsewhere(Report):
    """Writes elsewhere, too."""

    def write(self, report, folder):
        (HERE / "elsewhere.json").write_text("x")
        path = folder / "here.json"
        path.write_text("x")
        return path


class TestElsewhere(ReportProof):
    block = {"uses": "faulty_plugins:Elsewhere"}
    found: ClassVar = {"test_it_writes_what_a_run_came_to": "left behind: the file "}


class Unsteady(Report):
    """Writes something else each time."""

    def write(self, report, folder):
        path = folder / "now.txt"
        path.write_text(str(time.monotonic()))
        return path


class TestUnsteady(ReportProof):
    block = {"uses": "faulty_plugins:Unsteady"}
    found: ClassVar = {"test_it_writes_what_a_run_came_to": "it writes other things the second time"}


class Picky(Report):
    """Knows runs that passed only."""

    def write(self, report, folder):
        path = folder / "picky.txt"
        path.write_text({"passed": "+", "failed": "-"}[report["verdict"]])
        return path


class TestPicky(ReportProof):
    block = {"uses": "faulty_plugins:Picky"}
    found: ClassVar = {"test_it_writes_what_a_run_came_to": "KeyError: 'error'"}
