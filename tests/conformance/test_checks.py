"""Our own checks, proven as anybody's are."""

from pathlib import Path

from recipe_runner.conformance.checks import CheckProof

RED = Path(__file__).parents[2] / "recipes" / "assets" / "red.png"
CAPITAL = {"prompt": "What is the capital of France?", "expect": {"contains": "Paris"}}
REPLIES = {"replies": {"capital of France": "It is Paris."}}
NO_REGEX = (
    {"expect": {"regex": "("}},
    "validation.it.expect.regex — '(' does not fit here; "
    "this is not a regular expression: missing ), unterminated subpattern at position 0",
)


class TestModels(CheckProof):
    block = {"uses": "models"}
    notices = ("wrong_model",)


class TestCompletion(CheckProof):
    block = {"uses": "completion", **CAPITAL}
    engine = REPLIES
    notices = ("off_topic",)
    refuses = (NO_REGEX,)


class TestChat(CheckProof):
    block = {"uses": "chat", **CAPITAL, "system": "Be brief."}
    engine = REPLIES
    notices = ("off_topic",)
    refuses = (
        (
            {"expect": {}},
            "validation.it.expect — {} does not fit here; expect at least one thing, such as `contains: Paris`",
        ),
    )


class TestImage(CheckProof):
    block = {"uses": "image", "image": str(RED), "prompt": "Which colour?", "expect": {"contains": "red"}}
    engine = {"replies": {"<image_url>": "It is red."}}
    notices = ("off_topic",)
    refuses = (
        (
            {"image": "no.png"},
            "validation.it.image — 'no.png' does not fit here; "
            "there is no such file; a path is relative to the file that it stands in",
        ),
        (
            {"image": "http://x/y.png"},
            "validation.it.image — 'http://x/y.png' does not fit here; "
            "give a file beside the recipe, or an address that begins with https://",
        ),
    )


class TestToolCall(CheckProof):
    block = {"uses": "tool_call"}
    serve = {"enable_auto_tool_choice": True, "tool_call_parser": "hermes"}
    notices = ("malformed_tool_call", "off_topic")


class TestReasoning(CheckProof):
    block = {"uses": "reasoning", "prompt": "What is 2 + 2?", "expect": {"not_empty": True}}
    serve = {"reasoning_parser": "deepseek_r1"}
    notices = ("leaked_reasoning", "off_topic")


class TestStructuredOutput(CheckProof):
    block = {"uses": "structured_output"}
    notices = ("off_topic", "wavering")


class TestEmbedding(CheckProof):
    block = {"uses": "embedding", "dimension": 64}
    serve = {"runner": "pooling"}
    notices = ("flat_embeddings",)


class TestLongContext(CheckProof):
    block = {"uses": "long_context", "tokens": 300}
    notices = ("off_topic",)


class TestDeterminism(CheckProof):
    block = {"uses": "determinism", "times": 3}
    notices = ("wavering",)
    refuses = (({"times": 1}, "validation.it.times — 1 does not fit here; it should be greater than or equal to 2"),)
