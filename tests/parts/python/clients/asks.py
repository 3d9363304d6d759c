"""What the scripts of official model clients share.

Usage: SCRIPT ASKS, where ASKS is a JSON list of {"do": …, "model": …, "says": …, "token": …, "most": …}. The address comes
from the library's own variable and nothing else. The script prints one JSON list: for each ask what came, or
{"raised": class, "status": …, "message": …, "code": …}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

# One pixel.
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def run(ways: dict[str, Callable[[dict[str, Any]], Any]], refused: type[Exception]) -> None:
    """Does what is asked, one after the other."""
    answers = []
    for ask in json.loads(sys.argv[1]):
        try:
            answers.append(ways[ask["do"]](ask))
        except refused as error:
            answers.append(
                {
                    "raised": type(error).__name__,
                    "kinds": [kind.__name__ for kind in type(error).__mro__],
                    "status": getattr(error, "status_code", None),
                    "message": str(error),
                    "code": getattr(error, "code", None),
                }
            )
    print(json.dumps(answers))
