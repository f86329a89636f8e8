"""`python -m postlaw_mesh`: the `postlaw` command."""

from __future__ import annotations

from postlaw_mesh.command import main

if __name__ == "__main__":
    main()
