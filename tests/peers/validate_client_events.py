"""Validates client events, one JSON object a line on stdin, against the openai package's own types.

Prints what is wrong with each, and exits with 1 if anything is.
"""

import json
import sys

from openai.types.realtime import RealtimeClientEvent

from strictness import problems


def main() -> int:
    count = failures = 0
    for number, line in enumerate(sys.stdin, start=1):
        if not line.strip():
            continue
        count += 1
        for problem in problems(RealtimeClientEvent, json.loads(line)):
            failures += 1
            print(f"line {number}: {problem}\n  {line.strip()}")
    print(f"{count} events, {failures} problems")
    return 1 if failures or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
