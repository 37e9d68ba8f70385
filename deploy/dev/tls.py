"""A throw-away authority and certificates for 127.0.0.1: so that encryption is tested as it will run."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from almena import clock

DAYS = datetime.timedelta(days=90)


@dataclass(frozen=True)
class Authority:
    """Signs servers' certificates; nobody trusts it who is not told to."""

    certificate: bytes
    """As PEM."""
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> Authority:
        """A new one, unlike any other."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Almena development authority")
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), key)

    def issue(self, host: str = "127.0.0.1") -> bytes:
        """Key and certificate of a server at `host` (an address), in one PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        ours = x509.load_pem_x509_certificate(self.certificate)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        certificate = (
            _builder(_name("Almena development server"), ours.subject, key.public_key())
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private + certificate.public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    today = datetime.datetime.fromtimestamp(clock.now() / 1_000_000, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(hours=1))
        .not_valid_after(today + DAYS)
    )
