"""What the scripts of whole agents share: their model and their tools stand behind the same address and the same token.

Usage: SCRIPT MCP_URL MODEL PROMPT WAY; the address of the model comes from the library's own variables, the run token from
RINGFENCE_TOKEN. The script prints one JSON list: the last words of the agent, and what each tool answered.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass


@dataclass
class Job:
    """What to do."""

    mcp: str
    model: str
    prompt: str
    way: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What opens the tools."""
        return {"Authorization": f"Bearer {self.token}"}


def read() -> Job:
    """The job from the command line and the environment."""
    return Job(*sys.argv[1:], token=os.environ["RINGFENCE_TOKEN"])


def report(text: str, tools: list[str]) -> None:
    """Prints what came of it."""
    print(json.dumps([text, *tools]))
