"""
The mock-cluster calls of the librdkafka that the confluent-kafka wheel brings.

Used by `ops.broker` only. The Python package exposes none of them, the library
exports them all; their signatures are stated here once.
"""

import ctypes
import importlib.util
from pathlib import Path
from typing import Final

from ops.errors import StackError

_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p

_SIGNATURES: Final = {
    "rd_kafka_conf_new": (_POINTER, ()),
    "rd_kafka_new": (_POINTER, (_INT, _POINTER, _TEXT, ctypes.c_size_t)),
    "rd_kafka_mock_cluster_new": (_POINTER, (_POINTER, _INT)),
    "rd_kafka_mock_cluster_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, (_POINTER,)),
    "rd_kafka_mock_topic_create": (_INT, (_POINTER, _TEXT, _INT, _INT)),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_host_port": (_INT, (_POINTER, ctypes.c_int32, _TEXT, _INT)),
    "rd_kafka_mock_broker_set_down": (_INT, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_up": (_INT, (_POINTER, ctypes.c_int32)),
}


def library_path() -> Path:
    """
    The shared library in the wheel. Raises a sentence when the wheel is not installed.
    """
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise StackError("the confluent-kafka wheel is not installed: `uv sync --extra local`")
    package = Path(spec.origin).parent
    # Linux wheels put it beside the package, macOS wheels inside it.
    found = [*package.with_name("confluent_kafka.libs").glob("librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    if not found:
        raise StackError(f"the confluent-kafka wheel in {package} brings no librdkafka")
    return found[0]


def load() -> ctypes.CDLL:
    """
    The library with typed functions.
    """
    library = ctypes.CDLL(str(library_path()))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
