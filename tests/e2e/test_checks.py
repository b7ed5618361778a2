"""The checks on real vLLM: what the tiny model can do passes, and what it cannot is told from that."""

from pathlib import Path

from tests.e2e.conftest import Started, start

TINY = """\
defaults: [internvl3-tiny, _self_]
summary: More is asked of the tiny model
benchmark: {small: null}
"""
CAPITAL = "prompt: What is the capital of France?"
GENERATES = f"""{TINY}
serve: {{enable_auto_tool_choice: true, tool_call_parser: hermes}}
validation:
  same: {{uses: determinism, {CAPITAL}, times: 3}}
  form: {{uses: structured_output, {CAPITAL}, json_schema: {{enum: [Paris, Rome]}}}}
  tool: {{uses: tool_call, max_tokens: 64}}
  needle: {{uses: long_context, tokens: 600, max_tokens: 20}}
  thinks: {{uses: reasoning, {CAPITAL}, expect: {{contains: Paris}}}}
"""
EMBEDS = f"""{TINY}
serve: {{runner: pooling, convert: embed}}
validation: {{capital: null, capital_chat: null, another_capital: null, red: null, blue: null,
  vectors: {{uses: embedding, dimension: 128}}}}
"""


def run(folder: Path, recipe: str) -> Started:
    (folder / "recipes").mkdir()
    (folder / "recipes" / "more.yaml").write_text(recipe)
    return start(folder, "recipe=more", "hardware=cpu", "serve.port=0")


def test_a_model_that_generates(tmp_path: Path) -> None:
    more = run(tmp_path, GENERATES)
    assert more.end() == 1, more.told
    found = {check["name"]: (check["verdict"], check["detail"]) for check in more.report["checks"]}
    same, form, tool, needle, thinks = (found[name] for name in ("same", "form", "tool", "needle", "thinks"))
    assert same == ("passed", "3 answers are the same 31 characters; what else is in the batch may change it")
    assert form == ("passed", """'"Paris"'""")
    assert (tool[0], tool[1][:40]) == ("failed", "no call of get_weather; the answer is 'T")
    assert needle[0] == "failed"
    assert "does not contain '48213', which stands at depth 0.5 of 5" in needle[1]  # of 570 to 600 tokens
    assert thinks == (
        "failed",
        "'The capital of France is Paris.' comes without reasoning; vLLM needs serve.reasoning_parser",
    )


def test_a_model_that_embeds(tmp_path: Path) -> None:
    more = run(tmp_path, EMBEDS)
    assert more.end() == 0, more.told
    (vectors,) = [check for check in more.report["checks"] if check["name"] == "vectors"]
    assert vectors["detail"].startswith("128 numbers a vector; cosine ≥ 0.")
