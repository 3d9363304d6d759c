"""What every client script shares: what to call, and how to say what the model received.

Usage of each script: SCRIPT URL CALLS, where CALLS is a JSON list of {"tool": …, "arguments": {…}}. The run token comes
from RINGFENCE_TOKEN, if any. The script prints one JSON list, with {"tool", "text", "is_error"} for each call, exactly
as the framework's own model got it; is_error is null where the framework does not tell the model.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

# A call may wait for a person, so no client may give up earlier than this.
PATIENCE_S = 120.0


@dataclass
class Received:
    """What the model received for one call."""

    tool: str
    text: str
    is_error: bool | None


@dataclass
class Scenario:
    """What to do."""

    url: str
    calls: list[dict[str, Any]]
    headers: dict[str, str]


def read() -> Scenario:
    """The scenario from the command line and the environment."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} URL CALLS")
    token = os.environ.get("RINGFENCE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Scenario(url=sys.argv[1], calls=json.loads(sys.argv[2]), headers=headers)


def report(received: list[Received]) -> None:
    """Prints what the model received."""
    print(json.dumps([asdict(one) for one in received]))


def text_of(blocks: Any) -> str:
    """The text of MCP or framework content blocks, in order."""
    if isinstance(blocks, str):
        return blocks
    texts = []
    for block in blocks:
        if isinstance(block, str):
            texts.append(block)
        elif isinstance(block, dict):
            texts.append(str(block.get("text", "")))
        else:
            texts.append(str(getattr(block, "text", "")))
    return "\n".join(texts)
