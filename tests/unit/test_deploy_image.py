"""
The image: two stages, no root, the locked dependencies without the embedded stack, and nothing that is not needed.
"""

import re
import tomllib
from pathlib import Path

from ops.services import SERVICES

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTIONS = [
    line.split(None, 1)
    for line in re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]
KNOWN = {"FROM", "RUN", "ENV", "WORKDIR", "COPY", "USER", "STOPSIGNAL", "ENTRYPOINT", "CMD"}


def those(kind: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == kind]


def test_it_is_made_of_instructions() -> None:
    """
    A misspelt one fails only where Docker is.
    """
    assert set() == {instruction for instruction, _ in INSTRUCTIONS} - KNOWN
    assert 2 == len(those("FROM"))


def test_the_last_stage_runs_as_nobody_in_particular() -> None:
    """
    A number Kubernetes can check, and the process itself as the first one, so that SIGTERM reaches it.
    """
    last = [instruction for instruction, _ in INSTRUCTIONS][::-1]
    final = INSTRUCTIONS[len(INSTRUCTIONS) - last.index("FROM") - 1 :]

    assert ["10001:10001"] == [rest for instruction, rest in final if instruction == "USER"]
    assert [] == [rest for instruction, rest in final if instruction == "RUN"]
    assert ['["python", "-m"]'] == those("ENTRYPOINT")


def test_both_stages_have_the_same_python() -> None:
    """
    A virtual environment is made for one interpreter.
    """
    assert 1 == len({stage.split()[0] for stage in those("FROM")})


def test_dependencies_are_the_locked_ones_without_the_embedded_stack() -> None:
    """
    A production image brings no Postgres of its own.
    """
    sync = next(run for run in those("RUN") if "uv sync" in run)

    assert {"--frozen", "--no-dev", "--no-install-project"} == set(re.findall(r"--(?!mount)[a-z-]+", sync))


def test_all_packages_are_copied_and_reach_the_builder() -> None:
    """
    What `.dockerignore` keeps out cannot be copied.
    """
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    sources = {source for copy in those("COPY") if "--from" not in copy for source in copy.split()[:-1]}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert set(packages) <= sources
    assert {source for source in sources if "/" not in source} <= let_in
    assert {"deploy/seed", "deploy"} <= sources | let_in
    assert [] == [source for source in sources if not (ROOT / source).exists()]


def test_a_process_is_named_as_the_local_stack_names_it() -> None:
    """
    `docker run antrean services.quota api` is `python -m services.quota api`.
    """
    assert {"services"} == {f"services.{service.room}".split(".")[0] for service in SERVICES}
    assert all((ROOT / "services" / service.room / "__main__.py").exists() for service in SERVICES)
