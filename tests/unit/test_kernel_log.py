"""
The log: one JSON line per thing that happened, drivers' lines included.
"""

import json
import subprocess
import sys

SPEAK = """
import logging
from kernel import log
speaker = log.get_logger("a.module")
log.configure("quota-api", "info")
speaker.debug("never_shown")
speaker.info("place_held", reservation_id="rsv_1", seats=(1, 2), odd={1, })
try:
    raise ValueError("why")
except ValueError:
    speaker.exception("internal_error")
logging.getLogger("aiokafka").warning("lost %s", "broker")
logging.getLogger("aiokafka").info("never shown")
log.flush()
"""


def test_every_line_is_json_with_its_process_module_level_and_time() -> None:
    """
    A line can be searched by any of them, and whatever is logged can be encoded.
    """
    spoken = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, check=True, text=True)
    lines = [json.loads(line) for line in spoken.stdout.splitlines()]

    assert ["place_held", "internal_error", "driver"] == [line["event"] for line in lines]
    assert ["a.module", "a.module", "aiokafka"] == [line["module"] for line in lines]
    assert ["info", "error", "warning"] == [line["level"] for line in lines]
    assert {"quota-api"} == {line["process"] for line in lines}
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert ("rsv_1", [1, 2]) == (lines[0]["reservation_id"], lines[0]["seats"])
    assert "ValueError: why" in lines[1]["exception"]
    assert "lost broker" == lines[2]["message"]
