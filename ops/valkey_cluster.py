"""
A real Valkey Cluster on this machine, made of the embedded server: primaries and a replica of each.

Used by tests and by synchronous tools. Owns its processes, which end with this one
however it ends. Never used for anybody's data: the folder is the caller's to throw away.
"""

import dataclasses
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import redis

from ops import ports, valkey
from ops.errors import StackError
from ops.programs import leashed

PRIMARIES: Final = 3
SLOTS: Final = 16384
NODE_TIMEOUT_MS: Final = 1000
"""A silent primary is replaced after so long and a vote. Short, because tests wait for it."""
READY_DEADLINE_SECONDS: Final = 30.0
STOP_DEADLINE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02
_KEYS_PER_MOVE: Final = 100
_MOVE_TIMEOUT_MS: Final = 5000

CONFIG: Final = """\
cluster-enabled yes
cluster-port {bus_port}
cluster-config-file nodes.conf
cluster-node-timeout {node_timeout_ms}
# The partitions of the nodes that are well go on selling.
cluster-require-full-coverage no
# A replica that has lost touch for long still takes over here; in production it waits for somebody to decide.
cluster-replica-validity-factor 0
cluster-allow-replica-migration no
repl-diskless-sync-delay 0
"""


@dataclasses.dataclass(slots=True, kw_only=True)
class Node:
    """
    One server, and what it began as.
    """

    name: str
    port: int
    bus_port: int
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    node_id: str = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"redis://127.0.0.1:{self.port}/0"

    def ask(self, *command: str | int) -> Any:
        """
        One command to this server and no other.
        """
        with redis.Redis("127.0.0.1", self.port, socket_timeout=5.0, decode_responses=True) as client:
            return client.execute_command(*command)

    def says(self, section: str, field: str) -> str:
        """
        One line of its INFO.
        """
        return str(self.ask("INFO", section)[field])

    def pause(self) -> None:
        """
        Let it stand still, with all its connections.
        """
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """
        Let it run again.
        """
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        if self.process is not None:
            os.kill(self.process.pid, which)


class ValkeyCluster:
    """
    `with ValkeyCluster(folder) as cluster:` and three primaries with a replica each answer.
    """

    def __init__(self, folder: Path, *, primaries: int = PRIMARIES, replicas: bool = True) -> None:
        self._folder = folder
        self._primaries = primaries
        self._promises = ports.Promises()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cluster")
        kinds = ["primary", "replica"] if replicas else ["primary"]
        self.nodes = [self._node(f"{kind}-{number}") for kind in kinds for number in range(primaries)]

    def _node(self, name: str) -> Node:
        port, bus_port = (ports.free_port(set(), free=self._promises.take) for _ in range(2))
        return Node(name=name, port=port, bus_port=bus_port, folder=self._folder / name)

    @property
    def url(self) -> str:
        """What VALKEY_URL says: every node, whichever of them is there."""
        return ",".join(node.url for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                self.start(node)
            for node in self.nodes:
                until(partial(node.ask, "PING"), what=f"{node.name} to answer")
            self._form()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, node: Node) -> None:
        """
        Start a server on what its folder has, or on nothing.
        """
        node.folder.mkdir(parents=True, exist_ok=True)
        config = node.folder / "valkey.conf"
        config.write_text(
            valkey.CONFIG.format(port=node.port, folder=node.folder)
            + CONFIG.format(bus_port=node.bus_port, node_timeout_ms=NODE_TIMEOUT_MS)
        )
        # Its leash is held by the thread that starts it, and callers' threads come and go.
        node.process = self._thread.submit(_spawn, node.folder, str(config)).result(READY_DEADLINE_SECONDS)

    def _form(self) -> None:
        """
        Give out the slots, introduce everybody to everybody, and make the replicas replicas.
        """
        for number, node in enumerate(self.nodes):
            node.node_id = node.ask("CLUSTER", "MYID")
            # Epochs of their own from the start, or the nodes would spend a while settling who yields.
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(self.nodes[: self._primaries]):
            first, beyond = (SLOTS * at // self._primaries for at in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, beyond - 1)
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        until(lambda: all(self._knows_all(node) for node in self.nodes), what="the nodes to know each other")
        for node, primary in zip(self.nodes[self._primaries :], self.nodes, strict=False):
            node.ask("CLUSTER", "REPLICATE", primary.node_id)
        until(self.well, what="the cluster to be well")

    def _knows_all(self, node: Node) -> bool:
        """Whether the introductions are over: a name in a handshake is not yet the real one."""
        known = {line.split()[0] for line in node.ask("CLUSTER", "NODES").splitlines()}
        return known == {one.node_id for one in self.nodes}

    def well(self) -> bool:
        """
        Whether every slot is served, nobody is thought dead, and every replica is in step, as each node sees it.
        """
        return all(self._is_well(node) for node in self.nodes)

    def _is_well(self, node: Node) -> bool:
        try:
            known = [line.split()[2] for line in node.ask("CLUSTER", "NODES").splitlines()]
            slots_ok = f"cluster_slots_ok:{SLOTS}" in node.ask("CLUSTER", "INFO").splitlines()
            told = node.ask("INFO", "replication")
        except redis.RedisError:
            return False
        replicas_of_each = len(self.nodes) // self._primaries - 1
        if told["role"] == "master":
            # One that has just come back may not know yet that it was replaced.
            in_step = int(told["connected_slaves"]) == replicas_of_each
        else:
            in_step = told["master_link_status"] == "up"
        thought_dead = any("fail" in flags or "handshake" in flags for flags in known)
        replicas = sum("slave" in flags for flags in known)
        return slots_ok and in_step and not thought_dead and replicas == replicas_of_each * self._primaries

    def primary_of(self, slot: int) -> Node:
        """
        The node that serves a hash slot, as most of those who answer see it.
        """
        seen = Counter(
            int(primary[1])
            for node in self.nodes
            if node.process is not None
            for first, last, primary, *_ in node.ask("CLUSTER", "SLOTS")
            if first <= slot <= last
        )
        if not seen:
            raise StackError(f"nobody serves slot {slot}")
        return self._at(seen.most_common(1)[0][0])

    def replica_of(self, primary: Node) -> Node:
        """
        The node that would take over.
        """
        lines = [line.split() for line in primary.ask("CLUSTER", "NODES").splitlines()]
        return next(self._of_id(fields[0]) for fields in lines if fields[3] == primary.node_id)

    def primaries(self) -> list[Node]:
        """
        Who serves slots, of those who answer.
        """
        running = [node for node in self.nodes if node.process is not None]
        return [node for node in running if node.says("replication", "role") == "master"]

    def move(self, slot: int, source: Node, target: Node) -> None:
        """
        Hand a hash slot over at once, its keys having gone ahead.
        """
        source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.node_id)
        self._wait_for_move(slot, target)

    def move_key_by_key(self, slot: int, source: Node, target: Node) -> None:
        """
        Hand a hash slot over the old way, in which its keys are on both nodes for a while.
        """
        self.begin_move(slot, source, target)
        self.end_move(slot, source, target)

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        """
        Let both nodes know that keys of a hash slot are going over. None has gone yet.
        """
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)

    def move_keys(self, source: Node, target: Node, keys: list[str]) -> None:
        """
        Let these go over.
        """
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, _MOVE_TIMEOUT_MS, "KEYS", *keys)

    def end_move(self, slot: int, source: Node, target: Node) -> None:
        """
        Let the other keys go over, and the slot with them.
        """
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, _KEYS_PER_MOVE):
            self.move_keys(source, target, keys)
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)
        self._wait_for_move(slot, target)

    def _wait_for_move(self, slot: int, target: Node) -> None:
        until(lambda: self.primary_of(slot) is target, what=f"slot {slot} to be served by {target.name}")

    def _at(self, port: int) -> Node:
        return next(node for node in self.nodes if node.port == port)

    def _of_id(self, node_id: str) -> Node:
        return next(node for node in self.nodes if node.node_id == node_id)

    def kill(self, node: Node) -> None:
        """
        End a server without a word, as a power cut would.
        """
        if node.process is not None:
            os.kill(node.process.pid, signal.SIGKILL)
            node.process.wait(STOP_DEADLINE_SECONDS)
            node.process = None

    def heal(self) -> None:
        """
        Start who does not run, and wait until the cluster is well.
        """
        for node in self.nodes:
            if node.process is None:
                self.start(node)
        until(self.well, what="the cluster to be well")

    def stop(self) -> None:
        """
        End every server. Returns when none is left.
        """
        for node in self.nodes:
            self.kill(node)
        self._thread.shutdown()
        self._promises.release()


def _spawn(folder: Path, config: str) -> "subprocess.Popen[bytes]":
    with (folder / "valkey.log").open("ab") as log:
        return subprocess.Popen(
            leashed((str(valkey.binary()), config)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            start_new_session=True,
        )


def until(check: Callable[[], bool], *, what: str) -> None:
    """
    Ask until it is so; not being answered counts as no.
    """
    end = time.monotonic() + READY_DEADLINE_SECONDS
    while time.monotonic() < end:
        try:
            if check():
                return
        except redis.RedisError:
            pass
        time.sleep(_POLL_SECONDS)
    raise StackError(f"waited {READY_DEADLINE_SECONDS:g} s for {what}")
