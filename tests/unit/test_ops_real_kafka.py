"""
What Apache Kafka needs, said in a sentence when it is not there.
"""

from pathlib import Path

import pytest

from ops import real_kafka
from ops.errors import StackError


def test_a_machine_without_java_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Before anything is fetched.
    """
    monkeypatch.setattr(real_kafka.shutil, "which", lambda _: None)

    with pytest.raises(StackError, match="needs Java 17"):
        real_kafka.program(tmp_path, port=1, controller_port=2)


def test_a_machine_without_maven_and_jars_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Jars that are there need no Maven.
    """
    monkeypatch.setattr(real_kafka, "JARS", tmp_path)
    monkeypatch.setattr(real_kafka.shutil, "which", lambda _: None)

    with pytest.raises(StackError, match=r"Maven \(mvn\) is not installed"):
        real_kafka.fetch()


def test_a_maven_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Its first error line, and no jars half there.
    """
    mvn = tmp_path / "mvn"
    mvn.write_text("#!/bin/sh\necho '[ERROR] no such artifact'\nexit 1\n")
    mvn.chmod(0o755)
    monkeypatch.setattr(real_kafka, "JARS", tmp_path / "jars")
    monkeypatch.setattr(real_kafka.shutil, "which", lambda _: str(mvn))

    with pytest.raises(StackError, match="no such artifact"):
        real_kafka.fetch()


def test_jars_of_this_very_pom_are_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A changed pom is another matter.
    """
    monkeypatch.setattr(real_kafka, "JARS", tmp_path)
    monkeypatch.setattr(real_kafka.shutil, "which", lambda _: None)
    (tmp_path / "pom.sha256").write_text(real_kafka.hashlib.sha256(real_kafka.POM.read_bytes()).hexdigest())

    assert tmp_path == real_kafka.fetch()
