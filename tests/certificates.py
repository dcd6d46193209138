"""Certificates for peers of tests: signed by themselves or by an issuer of this process."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def of(*names: str, signed: bool = False, days: int = 1) -> ssl.SSLContext:
    """Return what a server needs to show a certificate for names that ends in some days (or ended)."""
    key = generate_private_key(SECP256R1())
    by, by_key = _issuer() if signed else (None, key)
    mine = _certificate(names[0], key, by, by_key, days, names=names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(mine.public_bytes(Encoding.PEM) + private)
        context.load_cert_chain(file)
    return context


def issuer() -> bytes:
    """Return the certificate of the issuer, as PEM."""
    return _issuer()[0].public_bytes(Encoding.PEM)


@lru_cache
def _issuer() -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    key = generate_private_key(SECP256R1())
    return _certificate("issuer", key, None, key, 1, names=()), key


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    by: x509.Certificate | None,
    by_key: EllipticCurvePrivateKey,
    days: int,
    *,
    names: tuple[str, ...],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by_key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
    return builder.sign(by_key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
