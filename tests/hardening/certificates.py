"""Real certificates, made by openssl as an operator makes them."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def self_signed(folder: Path, name: str) -> Certificate:
    """A self-signed one; an authority, too."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2")
    _openssl(*new, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", made.key, "-out", made.certificate)
    return made


def signed(folder: Path, name: str, authority: Certificate) -> Certificate:
    """One that `authority` vouches for."""
    made, asked = Certificate(folder / f"{name}.pem", folder / f"{name}.key"), folder / f"{name}.csr"
    new = ("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
    _openssl(*new, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", made.key, "-out", asked)
    signing = ("-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial", "-days", "2", "-copy_extensions", "copy")
    _openssl("x509", "-req", "-in", asked, *signing, "-out", made.certificate)
    return made
