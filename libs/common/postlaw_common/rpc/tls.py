"""Who is on the line: mutual TLS with one name per service, `spiffe://postlaw/<service>`, in the certificate's URI SAN.

In development a certificate authority is made on the spot: its key lies in the state directory (mode 0600), and every start
makes each service a new key and a certificate of thirty days, both only in memory. In production the three PEM files come from
settings. gRPC's core offers no way to set the lowest TLS version from Python: it would still shake hands at TLS 1.2, so the
door (door.py) refuses every call on a connection that is not TLS 1.3, which two of our own ends always agree on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SPIFFE_PREFIX = "spiffe://postlaw/"
_CA_LIFE = timedelta(days=1825)
_LEAF_LIFE = timedelta(days=30)
_BACKDATED = timedelta(minutes=5)  # for clocks that differ a little


class TlsFilesWrong(Exception):
    """A certificate or key file is missing, unreadable or not what it should be; the message is one clear line."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What one service shows and whom it believes, all PEM."""

    service: str
    trusted: bytes
    certificate: bytes
    key: bytes

    def server_credentials(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key, self.certificate)], root_certificates=self.trusted, require_client_auth=True)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.trusted, self.key, self.certificate)


Identities = Callable[[str], TlsIdentity]
"""The identity that a service of this name shows."""


def host_name(service: str) -> str:
    """The DNS SAN that a client expects of the service, whatever address it dials (underscores are no part of a host name)."""
    return f"{service.replace('_', '-')}.postlaw.internal"


class DevelopmentCA:
    """The certificate authority of one state directory: made by whoever starts first, then shared by all on this machine."""

    def __init__(self, directory: Path) -> None:
        path = directory / "development-ca.pem"
        pem = self._read(path) or self._make(path)
        self._key = serialization.load_pem_private_key(pem, None)
        self._certificate = x509.load_pem_x509_certificate(pem)
        self.trusted = self._certificate.public_bytes(serialization.Encoding.PEM)

    @staticmethod
    def _read(path: Path) -> bytes | None:
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            return None
        left = x509.load_pem_x509_certificate(pem).not_valid_after_utc - datetime.now(UTC)
        if left > _LEAF_LIFE:
            return pem
        path.unlink(missing_ok=True)
        return None

    @staticmethod
    def _make(path: Path) -> bytes:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Postlaw development CA")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + _CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
            os.link(draft, path)  # appears whole, and only if nobody else was first
        except FileExistsError:
            return path.read_bytes()
        finally:
            draft.unlink()
        return pem

    def identity(self, service: str) -> TlsIdentity:
        """A new key and a certificate of thirty days for the service."""
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        names = [x509.UniformResourceIdentifier(SPIFFE_PREFIX + service), x509.DNSName(host_name(service))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, service)]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + _LEAF_LIFE)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return TlsIdentity(service, self.trusted, certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def identity_from_files(service: str, *, trusted: Path, certificate: Path, key: Path) -> TlsIdentity:
    """The service's identity as the operator issued it. Raises TlsFilesWrong, also where the certificate names another service."""
    contents: list[bytes] = []
    for path in (trusted, certificate, key):
        try:
            contents.append(path.read_bytes())
        except OSError as wrong:
            raise TlsFilesWrong(f"{path}: {wrong.strerror}; it must be a PEM file that this process can read") from wrong
    try:
        shown = x509.load_pem_x509_certificate(contents[1])
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as wrong:
        raise TlsFilesWrong(f"{certificate}: not a PEM certificate with subject alternative names") from wrong
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [SPIFFE_PREFIX + service]:
        raise TlsFilesWrong(f"{certificate}: its only URI name must be {SPIFFE_PREFIX}{service}")
    if host_name(service) not in names.get_values_for_type(x509.DNSName):
        raise TlsFilesWrong(f"{certificate}: it must also hold the DNS name {host_name(service)}")
    return TlsIdentity(service, *contents)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
