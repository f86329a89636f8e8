"""What the documents tell a reader to type is there, and works."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import click
import pytest

from postlaw_common.testing.promises import promise
from postlaw_mesh.command import main
from postlaw_mesh.demo.command import mesh_beside_us

CHECKOUT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    CHECKOUT / "README.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
    *sorted((CHECKOUT / "libs").glob("*/README.md")),
    *sorted((CHECKOUT / "services").glob("*/README.md")),
]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(text: str, info: str) -> list[str]:
    return [body for found, body in FENCE.findall(text) if found.strip() == info]


def commands(text: str) -> list[list[str]]:
    """The words of every `make …` and `postlaw …` in console blocks and in code spans."""
    lines = [line[2:] for block in fenced(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    spans = re.findall(r"`((?:make|postlaw) [^`]+)`", FENCE.sub("", text))
    return [line.split() for line in (*lines, *spans) if line.split()[0] in ("make", "postlaw")]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def known(words: list[str]) -> bool:
    if words[0] == "make":
        return words[1] in make_targets()
    command: click.Command | None = main
    for word in words[1:]:
        if not isinstance(command, click.Group):
            return True
        if not re.fullmatch(r"[a-z-]+", word):
            return False
        command = command.get_command(click.Context(command), word)
        if command is None:
            return False
    return True


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_commands_that_a_document_names_are_there(document: Path) -> None:
    named = commands(document.read_text(encoding="utf-8"))
    assert [" ".join(words) for words in named if not known(words)] == []


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, *sorted((CHECKOUT / "docs" / "adr").glob("*.md"))], ids=lambda path: str(path.relative_to(CHECKOUT))
)
def test_files_that_a_document_links_to_are_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def run_session(document: Path, directory: Path) -> str:
    """What the document's session prints, on a fresh installation. Fails where one of its commands does."""
    [session] = fenced(document.read_text(encoding="utf-8"), "bash session")
    state = directory / "state"
    state.mkdir()
    with mesh_beside_us(state) as ready:
        script = session.replace("KEY=…", f"KEY={ready['api_key']}").replace("http://localhost:8080", ready["gateway"])
        script = script.replace("http://localhost:8025", ready["inbox"])
        assert "…" not in script.split("#")[0]
        words = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(words, cwd=directory, env={**os.environ}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readmes_session_works_as_it_stands(tmp_path: Path) -> None:
    said = run_session(CHECKOUT / "README.md", tmp_path)
    proof = json.loads((tmp_path / "proof.json").read_text())
    assert int(proof["index"]) < int(proof["checkpoint"]["size"])
    assert '"sent":2' in said.replace(" ", "").replace('"sent":"2"', '"sent":2')


@promise("G2")
def test_the_law_answers_what_the_page_on_consents_says_it_does(tmp_path: Path) -> None:
    page = CHECKOUT / "docs" / "consents.md"
    said = [line for line in run_session(page, tmp_path).splitlines() if line.startswith(("yes: ", "no: ", "{'"))]
    promised = re.findall(r"^(?:explain|api) .*?#\s(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert said == promised and len(said) == 9
