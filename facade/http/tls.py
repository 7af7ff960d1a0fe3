"""Certificate, key and authorities of the HTTP API: PEM files -> an SSLContext. Knows no sockets and no HTTP.

TLS 1.2 and 1.3 alone, with authenticated encryption and forward secrecy.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from facade.config.settings import Settings
from facade.errors import SettingsError

_CERT, _KEY, _CA = "NIM_TLS_CERT_PATH", "NIM_TLS_KEY_PATH", "NIM_SSL_CA_CERTS_PATH"
# Of TLS 1.2; all of TLS 1.3's are of this kind.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True)
class Certificates:
    """The files. With `authorities`, every client has to present a certificate that one of them has signed."""

    certificate: Path
    key: Path
    authorities: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Certificates | None":
        """As the settings say; None for plain HTTP. Raises SettingsError where a file that is needed is not named."""
        mode = settings.tls
        if mode == "DISABLED" or not settings.tls_cert or not settings.tls_key:
            return None
        return cls(settings.tls_cert, settings.tls_key, settings.tls_ca if mode == "MTLS" else None)

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.certificate, self.key, *([self.authorities] if self.authorities else []))

    def context(self) -> ssl.SSLContext:
        """A context of the files' present content. Raises SettingsError with the variable of a file that can't be used, and the reason."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        _load_authorities(
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), _CERT, self.certificate
        )  # checked first, so that an error below is the key's
        self._load_own(context)
        if self.authorities:
            _load_authorities(context, _CA, self.authorities)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _load_own(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key, password=self._refuse_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise SettingsError(
                    f"{_KEY}={self.key} is not the key of {_CERT}={self.certificate}: name the two that belong together"
                ) from None
            raise SettingsError(
                f"{_KEY}={self.key} holds no private key for the certificate ({_reason(error)}): name a PEM file that does"
            ) from None
        except OSError as error:
            raise SettingsError(f"{_KEY}={self.key} can't be read ({error.strerror}): name a file that this process may read") from None

    def _refuse_password(self) -> str:
        raise SettingsError(
            f"{_KEY}={self.key} needs a password, which a server can't type: store the key without one (openssl pkey -in … -out …)"
        )


def _load_authorities(context: ssl.SSLContext, variable: str, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise SettingsError(f"{variable}={file} holds no certificate ({_reason(error)}): name a PEM file that does") from None
    except OSError as error:
        raise SettingsError(f"{variable}={file} can't be read ({error.strerror}): name a file that this process may read") from None


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's reason in its own few words."""
    return (error.reason or "not PEM").lower().replace("_", " ")
