"""Generates libs/contracts from protos/: `python -m tools.generate_contracts [DIRECTORY]` (default: libs/contracts)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"


def generate(target: Path) -> None:
    """Removes what was generated before, and generates anew. Raises CalledProcessError where a .proto is wrong."""
    for old in target.rglob("*_pb2*"):
        old.unlink()
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    beside = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}"),
            *(f"--python_out={target}", f"--grpc_python_out={target}"),
            *(f"--mypy_out=quiet:{target}", f"--mypy_grpc_out=quiet:{target}"),
            *sources,
        ],
        check=True,
        env=beside,
    )
    for directory in {target / Path(source).parent for source in sources}:
        for package in (directory, *directory.parents):
            if package == target:
                break
            (package / "__init__.py").touch()


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "libs" / "contracts"
    target.mkdir(parents=True, exist_ok=True)
    generate(target)


if __name__ == "__main__":
    main()
