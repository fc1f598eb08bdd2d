"""
The embedded broker: librdkafka's mock cluster, kept at one address.

Run by the stack as a process of its own (`python -m ops.broker`). The mock cluster
listens on a port of its own choosing, so a forwarder in this process listens on the
promised one, which the cluster advertises. SIGUSR1 takes the broker away, SIGUSR2
brings it back with all it holds, SIGHUP makes it forget everything.

It keeps about 5 MB per partition, and nothing beyond its own life. Whoever joins a group that others
just left waits for the session timeout less a second. Never for production.
"""

import argparse
import asyncio
import contextlib
import ctypes
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import uvloop

from contracts.topics import TOPICS
from ops import librdkafka
from ops.state import write_atomically

BROKER_ID: Final = 1
HOST: Final = "127.0.0.1"
KNOCK_SECONDS: Final = 0.005
REBALANCE_DELAY_MS: Final = 100
"""Instead of three seconds: on one machine members join at once, and every restart waits for this."""
PENDING_BYTES_MAX: Final = 8_000_000
"""What one slow reader may keep waiting here before its writer is made to wait."""


class MockCluster:
    """
    One mock broker with the topics of `contracts.topics`.
    """

    def __init__(self, *, advertised_port: int) -> None:
        self._library = librdkafka.load()
        reason = ctypes.create_string_buffer(512)
        self._client = self._library.rd_kafka_new(0, self._library.rd_kafka_conf_new(), reason, len(reason))
        if not self._client:
            raise RuntimeError(f"librdkafka made no client: {reason.value.decode()}")
        self._advertised_port = advertised_port
        self._cluster = self._make()

    def _make(self) -> int:
        cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not cluster:
            raise RuntimeError("librdkafka made no mock cluster")
        # Asked before the advertised address replaces it.
        self.port = int(self._library.rd_kafka_mock_cluster_bootstraps(cluster).decode().rsplit(":", 1)[1])
        with kept_awake(self.port):
            self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, REBALANCE_DELAY_MS)
            for topic in TOPICS:
                code = self._library.rd_kafka_mock_topic_create(cluster, topic.name.encode(), topic.partitions, 1)
                self._demand(code, topic.name)
            code = self._library.rd_kafka_mock_broker_set_host_port(
                cluster, BROKER_ID, HOST.encode(), self._advertised_port
            )
            self._demand(code, "the advertised address")
        return int(cluster)

    def forget(self) -> None:
        """
        Start over with empty topics and no consumer groups.
        """
        old, self._cluster = self._cluster, self._make()
        # The old one takes a second to end, and nobody needs to wait for it.
        threading.Thread(target=self._library.rd_kafka_mock_cluster_destroy, args=(old,)).start()

    def set_down(self) -> None:
        """
        Drop every connection and accept none.
        """
        with kept_awake(self.port):
            self._demand(self._library.rd_kafka_mock_broker_set_down(self._cluster, BROKER_ID), "down")

    def set_up(self) -> None:
        """
        Accept connections again, with everything kept.
        """
        with kept_awake(self.port):
            self._demand(self._library.rd_kafka_mock_broker_set_up(self._cluster, BROKER_ID), "up")

    @staticmethod
    def _demand(code: int, what: str) -> None:
        if code != 0:
            raise RuntimeError(f"librdkafka's mock cluster refused {what} with error {code}")


@contextlib.contextmanager
def kept_awake(port: int) -> Iterator[None]:
    """
    Knock at the cluster's door all the while. Its thread sleeps up to a second on each order it was
    not woken for, and it is not woken for every one; a connection always wakes it.
    """
    done = threading.Event()

    def knock() -> None:
        while not done.wait(KNOCK_SECONDS):
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                pass

    knocker = threading.Thread(target=knock, name="knock")
    knocker.start()
    try:
        yield
    finally:
        done.set()
        knocker.join()


class Pipe(asyncio.Protocol):
    """
    One direction of a forwarded connection: what arrives here leaves at the peer.
    """

    def __init__(self, forwarder: "Forwarder", peer: "Pipe | None" = None) -> None:
        self._forwarder = forwarder
        self._peer = peer
        self._early: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Accepted from a client: dial the cluster. Dialled: hand over what came early.
        """
        # TCP gives no other kind, though uvloop's does not inherit from it.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=PENDING_BYTES_MAX)
        self._forwarder.open.add(self._transport)
        if self._peer is None:
            self._forwarder.dial(self)
        else:
            self._peer.joined(self)

    def joined(self, peer: "Pipe") -> None:
        """
        The other side stands.
        """
        self._peer = peer
        for data in self._early:
            peer.write(data)
        self._early.clear()
        if self._transport is not None and self._transport.is_closing():
            peer.close()

    def data_received(self, data: bytes) -> None:
        """
        Pass on, or keep until the other side stands.
        """
        if self._peer is None:
            self._early.append(data)
        else:
            self._peer.write(data)

    def pause_writing(self) -> None:
        """
        The reader is slow: its writer waits.
        """
        if self._peer is not None:
            self._peer.listen(on=False)

    def resume_writing(self) -> None:
        """
        The reader caught up.
        """
        if self._peer is not None:
            self._peer.listen(on=True)

    def listen(self, *, on: bool) -> None:
        """
        Read from this end, or let it wait.
        """
        if self._transport is not None and not self._transport.is_closing():
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def write(self, data: bytes) -> None:
        """
        Send towards this end.
        """
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """
        Hang up this end.
        """
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # both ways of ending are alike here
        """
        One end gone is both ends gone.
        """
        if self._transport is not None:
            self._forwarder.open.discard(self._transport)
        if self._peer is not None:
            self._peer.close()


class Forwarder:
    """
    The fixed port in front of the cluster's own.
    """

    def __init__(self, *, port: int, cluster: MockCluster) -> None:
        self.open: set[asyncio.Transport] = set()
        self._port = port
        self._cluster = cluster
        self._server: asyncio.Server | None = None
        self._dials: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """
        Accept connections. Nothing when it does already.
        """
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(lambda: Pipe(self), HOST, self._port)

    async def hang_up(self) -> None:
        """
        Stop listening and cut every connection, as a broker that dies does.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self.open):
            transport.abort()
        await asyncio.sleep(0)

    def dial(self, near: Pipe) -> None:
        """
        Connect an accepted connection with the cluster.
        """
        task = asyncio.create_task(self._dial(near))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _dial(self, near: Pipe) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Pipe(self, near), HOST, self._cluster.port)
        except OSError:
            near.close()


class Broker:
    """
    Cluster and forwarder, moved together by signals, each move written down for whoever waits.
    """

    def __init__(self, *, port: int, state: Path) -> None:
        self._cluster = MockCluster(advertised_port=port)
        self._forwarder = Forwarder(port=port, cluster=self._cluster)
        self._state = state
        self._moves = 0
        self._moving = asyncio.Lock()

    async def vanish(self) -> None:
        """
        Be unreachable.
        """
        await self._forwarder.hang_up()
        self._cluster.set_down()

    async def come_back(self) -> None:
        """
        Be reachable, with all that was kept.
        """
        self._cluster.set_up()
        await self._forwarder.listen()

    async def forget(self) -> None:
        """
        Be a new broker at the old address.
        """
        await self._forwarder.hang_up()
        self._cluster.forget()
        await self._forwarder.listen()

    async def move(self, name: str) -> None:
        """
        Make one of the moves above and count it.
        """
        async with self._moving:
            await {"vanish": self.vanish, "come_back": self.come_back, "forget": self.forget}[name]()
            self._moves += 1
            write_atomically(self._state, f"{self._moves} {name}\n")


async def serve(*, port: int, state: Path) -> None:
    """
    Be the broker until SIGTERM.
    """
    broker = Broker(port=port, state=state)
    loop = asyncio.get_running_loop()
    moves: set[asyncio.Task[None]] = set()

    def on(name: str) -> None:
        task = asyncio.create_task(broker.move(name))
        moves.add(task)
        task.add_done_callback(moves.discard)

    loop.add_signal_handler(signal.SIGUSR1, on, "vanish")
    loop.add_signal_handler(signal.SIGUSR2, on, "come_back")
    loop.add_signal_handler(signal.SIGHUP, on, "forget")
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await broker.move("come_back")
    await ended.wait()


def main() -> None:
    """
    Read the command line and serve.
    """
    parser = argparse.ArgumentParser(description="The embedded Kafka broker.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="the file that tells the last move")
    asked = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(port=asked.port, state=asked.state))


if __name__ == "__main__":
    main()
