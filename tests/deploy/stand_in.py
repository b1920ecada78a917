"""A stand-in for `az`, `azd`, `curl` and `sleep`: writes each call down, answers from a file of rules.

The rules (`$STAND_IN/rules.json`) are a list of {match, answers, code}. The first one whose words are all among the
call's answers with the next of its `answers`, the last of them again and again. `sleep` returns at once.
"""

import json
import os
import sys
from pathlib import Path


def main() -> int:
    """Answers one call. Returns its exit code."""
    home = Path(os.environ["STAND_IN"])
    call = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if call[0] == "curl":
        call.append(sys.stdin.read())
    with (home / "calls.jsonl").open("a") as log:
        log.write(json.dumps(call) + "\n")
    for index, rule in enumerate(json.loads((home / "rules.json").read_text())):
        if any(word not in " ".join(call) for word in rule["match"]):
            continue
        seen = home / f"seen-{index}"
        count = int(seen.read_text()) if seen.exists() else 0
        seen.write_text(str(count + 1))
        answers = rule["answers"]
        answer, code = answers[min(count, len(answers) - 1)]
        sys.stdout.write(answer)
        return int(code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
