"""`postlaw certificates`: a certificate authority and one certificate a service, as files, for a mesh of separate processes.

For development and for docker-compose.yml; in production the operator's own authority issues the same three files (docs/operations.md).
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from postlaw_common.rpc.tls import DevelopmentCA, TlsIdentity

SERVICES = ("identity", "subscribers", "consent", "sending", "audit", "gateway", "operator")
CA, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"


def write_identity(directory: Path, identity: TlsIdentity) -> None:
    """`directory`/ca.pem, certificate.pem and key.pem (mode 0600), each whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, pem in ((CA, identity.trusted), (CERTIFICATE, identity.certificate), (KEY, identity.key)):
        draft = directory / f".{name}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_bytes(pem)
        draft.replace(directory / name)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
def certificates(directory: Path, services: tuple[str, ...]) -> None:
    """A directory a service, with ca.pem, certificate.pem and key.pem.

    The authority's key stays in DIRECTORY/authority; a second run keeps the authority and renews every certificate, for thirty days.

    \b
    Example:
      postlaw certificates ./certificates
    Exit codes: 0 done, 1 the directory cannot be used, 2 wrong usage.
    """
    unknown = sorted(set(services) - set(SERVICES))
    if unknown:
        raise click.UsageError(f"no service of the mesh: {', '.join(unknown)}; there are {', '.join(SERVICES)}")
    try:
        authority = DevelopmentCA(directory / "authority")
        for service in services or SERVICES:
            write_identity(directory / service, authority.identity(service))
            click.echo(f"{directory / service}: spiffe://postlaw/{service}")
    except (OSError, ValueError) as wrong:
        said = wrong.strerror if isinstance(wrong, OSError) else "the authority in it cannot be read"
        raise click.ClickException(f"{directory}: {said}") from wrong
