"""Whole runs in this process: what they write and say, and what points of a sweep share."""

import json
from pathlib import Path

import pytest

from recipe_runner.host import leases
from recipe_runner.serving import server
from tests.running import DOWN, SMALL, fake, free_port, run_here

REPORT = [
    *("format", "verdict", "recipe", "hardware", "engine", "parallelism", "url", "choices", "overrides", "processes"),
    *("provenance", "started", "environment", "memory", "phases"),
    *(
        "checks",
        "benchmarks",
        "expected",
        "errors",
        "diagnosis",
        "log_excerpt",
        "log_tail",
        "server_log",
        "teardown",
        "warnings",
    ),
    "folder",
]
ENVIRONMENT = [
    *("recipe_runner", "vllm", "torch", "driver", "gpus", "cpu", "memory_gib", "platform", "python"),
    "packages",
    *("recipe_sha256", "git_commit"),
]


def test_a_run_from_its_plan_to_its_report(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *SMALL, *fake())
    assert code == 0
    folder.assert_nothing_left()
    assert sorted(path.name for path in folder.run.iterdir()) == [
        *("events.jsonl", "load.json", "load.log", "plan.json", "recipe.lock.yaml"),
        *("report.json", "report.md", "server.log"),
    ]
    report = folder.report
    assert list(report) == REPORT
    assert list(report["environment"]) == ENVIRONMENT
    assert [list(check) for check in report["checks"]] == [["name", "uses", "verdict", "detail", "seconds"]] * 2
    assert [list(item) for item in report["benchmarks"]] == [
        [
            *("name", "uses", "verdict", "detail", "seconds", "metrics", "fields", "argv", "times"),
            *("measurements", "noise", "figures", "distributions", "curve"),
        ]
    ]
    assert [list(phase) for phase in report["phases"]] == [["name", "seconds"]] * 5
    assert folder.phases == ["launch", "ready", "checks", "benchmarks", "teardown"]
    assert report["verdict"] == "passed"
    assert (report["hardware"], report["engine"]) == ("cpu", "vllm")
    assert report["recipe"] == {"name": "small", "summary": "Two checks and a benchmark"}
    assert report["teardown"] == DOWN
    assert (report["errors"], report["log_excerpt"], report["warnings"]) == ([], [], [])
    assert report["folder"] == str(folder.run.relative_to(tmp_path))
    assert report["server_log"] == f"{report['folder']}/server.log"
    assert folder.details == {
        "capital": "'The capital of France is Paris.'",
        "another": "'Tokyo.'",
        "load": "5 requests, 10.00 tok/s out, median TTFT 12.2 ms",
    }


def test_the_events_tell_it_in_order(tmp_path: Path) -> None:
    _, folder = run_here(tmp_path, *SMALL, *fake())
    assert [(event["event"], event.get("name")) for event in folder.events] == [
        *(("phase", "launch"), ("phase", "ready"), ("phase", "checks"), ("check", "capital"), ("check", "another")),
        *(
            ("phase", "benchmarks"),
            ("measurement", "load"),
            ("benchmark", "load"),
            ("phase", "teardown"),
            ("end", None),
        ),
    ]
    moments = [event["at"] for event in folder.events]
    assert moments == sorted(moments)
    assert folder.events[-1]["verdict"] == "passed"


def test_the_plan_is_written_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    start = server.Server.start
    monkeypatch.setattr(
        server.Server, "start", lambda self: (seen.append([p.name for p in self.log.parent.iterdir()]), start(self))
    )
    _, folder = run_here(tmp_path, *SMALL, *fake(), "benchmark=none")
    assert sorted(seen[0]) == ["events.jsonl", "plan.json", "recipe.lock.yaml"]
    assert folder.plan["processes"][0]["role"] == "server"


def test_simulated_is_said_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = run_here(tmp_path, "recipe=internvl3", "hardware=a100x2", "engine=sim", "serve.port=0")
    assert code == 0
    out, err = capsys.readouterr()
    assert list(folder.report) == ["format", "simulated", *REPORT[1:]]
    assert folder.report["simulated"] is folder.plan["simulated"] is True
    assert folder.report["environment"]["vllm"] == "simulated"
    assert "# internvl3 on a100x2: passed (simulated)\n" in (folder.run / "report.md").read_text()
    assert "INFO: simulated" in (folder.run / "server.log").read_text()
    assert err.startswith("internvl3 on a100x2 (simulated), into runs/internvl3/a100x2/")
    assert out.splitlines()[-1].startswith("passed (simulated) in ")
    assert folder.verdicts == {"capital": "passed", "guide": "skipped"}
    folder.assert_nothing_left()


def test_what_the_plan_warns_of_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("recipe=internvl3", "hardware=a100x2", "engine=sim", "serve.port=0", "parallelism.tp=1")
    _, folder = run_here(tmp_path, *words)
    (warning,) = folder.report["warnings"]
    assert capsys.readouterr().err.splitlines()[1] == f"note: {warning}"


@pytest.mark.parametrize(
    ("swept", "launches"),
    [
        (("benchmark.load.num_prompts=5,4",), 1),
        (("serve.max_model_len=64,128",), 2),
        (("benchmark.load.num_prompts=5,4", "serve.max_model_len=64,128"), 2),
    ],
)
def test_points_that_share_a_server_share_its_launch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], swept: tuple[str, ...], launches: int
) -> None:
    code, folder = run_here(tmp_path, "-m", *SMALL, *fake(), *swept, "--json")
    out, err = capsys.readouterr()
    assert code == 0
    folder.assert_nothing_left()
    points = 2 ** len(swept)
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    numbers = [f"{number:03}" for number in range(points)]
    assert sorted(path.name for path in sweep.iterdir()) == [*numbers, "report.md", "sweep.json"]
    assert len(list(sweep.glob("*/server.log"))) == launches
    assert len(folder.pids()) == launches + points
    documents = [point["report"] for point in json.loads(out)["points"]]
    assert [document["folder"] for document in documents] == [
        str((sweep / number).relative_to(tmp_path)) for number in numbers
    ]
    assert len({document["server_log"] for document in documents}) == launches
    assert all((tmp_path / document["server_log"]).exists() for document in documents)
    assert all(document["teardown"] == DOWN for document in documents)
    assert err.count("small on cpu, into runs/sweeps/") == points


def test_a_sweep_is_as_bad_as_its_worst_point(tmp_path: Path) -> None:
    words = ("-m", *SMALL, *fake(), "validation.capital.expect.contains=Paris,Rome", "benchmark=none")
    code, _ = run_here(tmp_path, *words)
    assert code == 1
    reports = [json.loads(path.read_text())["verdict"] for path in sorted(tmp_path.glob("runs/sweeps/*/*/report.json"))]
    assert reports == ["passed", "failed"]


def test_a_server_that_dies_is_the_error_of_every_point_that_is_left(tmp_path: Path) -> None:
    words = ("-m", *SMALL, *fake("bench-kills-server"), "benchmark.load.num_prompts=5,4")
    code, _ = run_here(tmp_path, *words)
    assert code == 3
    reports = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/sweeps/*/*/report.json"))]
    assert [report["verdict"] for report in reports] == ["error", "error"]
    assert [check["verdict"] for check in reports[1]["checks"]] == ["skipped", "skipped"]
    assert reports[1]["errors"] == reports[0]["errors"]


@pytest.mark.parametrize("as_json", [False, True])
def test_points_that_cannot_begin_do_not_lose_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    monkeypatch.setattr(leases, "FOLDER", tmp_path / "leases")
    ports = [free_port() for _ in range(4)]
    held = leases.lease([f"port-{port}" for port in ports[1:3]], "elsewhere")
    assert isinstance(held, leases.Lease)
    swept = f"serve.port={','.join(map(str, ports))}"
    with held:
        code, _ = run_here(tmp_path, "-m", *SMALL, "engine=sim", "benchmark=none", swept, *["--json"] * as_json)
    out, err = capsys.readouterr()
    assert code == 2
    ran = [path.parent for path in sorted(tmp_path.glob("runs/sweeps/*/*/report.json"))]
    assert [path.name for path in ran] == ["000", "003"]
    if as_json:
        points = json.loads(out)["points"]
        assert [point["report"] and point["verdict"] for point in points] == ["passed", None, None, "passed"]
        assert [[fault["where"] for fault in point["errors"]] for point in points] == [[], ["leases"], ["leases"], []]
    else:
        assert [line.split()[0] for line in out.splitlines() if line.endswith(("/000", "/003"))] == ["passed", "passed"]
    told = [line for line in err.splitlines() if line.startswith("recipe-run: leases — ")]
    assert [line.split(" is leased by ")[0] for line in told] == [
        f"recipe-run: leases — port {port}" for port in ports[1:3]
    ]


def test_where_no_point_can_begin_there_is_only_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    words = ("-m", *SMALL, "engine=sim", "serve.max_model_len=64,128", "report.folder=taken")
    assert run_here(tmp_path, *words)[0] == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("recipe-run: report.folder — taken/sweeps/") == 1
    assert err.endswith(" cannot be written: Not a directory; name another with report.folder=…\n")
