"""Searches a text for patterns, as a program of its own: a search in `re` cannot be stopped, a process can.

Standard input holds `{"text": …, "patterns": […]}`; for each pattern a line comes out as soon as it is known: null, or
where its first match ends, and the groups. Run by its path, so that it starts in a moment and imports nothing of ours.
"""

import json
import re
import sys


def main() -> None:
    asked = json.load(sys.stdin)
    for pattern in asked["patterns"]:
        found = re.search(pattern, asked["text"], re.MULTILINE)
        print(json.dumps(found and [found.end(), found.groupdict("")]), flush=True)


if __name__ == "__main__":
    main()
