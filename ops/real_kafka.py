"""
Apache Kafka 4.x as one KRaft node, from the jars Maven fetches.

Called by the stack when real Kafka is asked for: tests of the real thing, fault
drills and benchmarks. Fetches once per content of `deploy/kafka/pom.xml`. Needs
`mvn` for that and `java` 17 always; says so in a sentence when one is missing.
"""

import base64
import fcntl
import hashlib
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Final

from ops.errors import StackError
from ops.programs import Program
from ops.state import PROJECT

POM: Final = PROJECT / "deploy" / "kafka" / "pom.xml"
JARS: Final = PROJECT / ".cache" / "kafka"
FETCH_DEADLINE_SECONDS: Final = 300
FORMAT_DEADLINE_SECONDS: Final = 60
HEAP_MB: Final = 512

PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={folder}/log
# Topics come from contracts.topics alone: a misspelled one must not appear by itself.
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# One node on a laptop: nobody else joins, so nobody is waited for.
group.initial.rebalance.delay.ms=0
# A killed broker may register again only when its old session has run out.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


def fetch() -> Path:
    """
    The folder of jars, fetched when the pom changed since the last time. Of several who ask at once, one fetches.
    """
    JARS.parent.mkdir(parents=True, exist_ok=True)
    with (JARS.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _fetched()


def _fetched() -> Path:
    mark = JARS / "pom.sha256"
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return JARS
    mvn = shutil.which("mvn")
    if mvn is None:
        raise StackError("Apache Kafka's jars are not in .cache/kafka and Maven (mvn) is not installed to fetch them")
    shutil.rmtree(JARS, ignore_errors=True)
    command = [mvn, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=FETCH_DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        raise StackError(f"Maven did not fetch Apache Kafka's jars within {FETCH_DEADLINE_SECONDS} s") from None
    if done.returncode != 0 or not list(JARS.glob("kafka_*.jar")):
        told = [line for line in done.stdout.splitlines() if "ERROR" in line]
        raise StackError(f"Maven could not fetch Apache Kafka's jars: {(told or ['no reason given'])[0][:500]}")
    mark.write_text(wanted)
    return JARS


def program(folder: Path, *, port: int, controller_port: int) -> Program:
    """
    The node on `port`, its log in `folder`, formatted on first use.
    """
    java = _java()
    jars = fetch()
    properties = folder / "server.properties"
    properties.write_text(PROPERTIES.format(port=port, controller_port=controller_port, folder=folder))
    if not (folder / "log" / "meta.properties").exists():
        _format(java, jars, properties)
    return Program(
        name="kafka",
        what="tells: every event (Apache Kafka)",
        command=(
            *(java, f"-Xmx{HEAP_MB}m", f"-Xms{HEAP_MB // 2}m", "-XX:+UseSerialGC"),
            *("-Dlog4j2.level=WARN", "-cp", f"{jars}/*", "kafka.Kafka", str(properties)),
        ),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        probe=f"kafka://127.0.0.1:{port}",
        port=port,
        cwd=folder,
    )


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise StackError("real Kafka needs Java 17 or newer, and there is no java on the PATH")
    return java


def _format(java: str, jars: Path, properties: Path) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # In one word, because one id in 64 begins with a hyphen.
    asked = [f"--cluster-id={cluster_id}", f"--config={properties}"]
    command = [java, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", *asked]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=FORMAT_DEADLINE_SECONDS)
    if done.returncode != 0:
        raise StackError(f"Kafka's storage could not be formatted: {(done.stderr or done.stdout)[-500:].strip()}")
