"""The certificate that a server shows: whether it is trusted, and for how long it still holds."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing

from cryptography import x509

from almena.app.checking import EXPIRY_DAYS, Findings, care, good, wrong
from almena.clock import DAY, SECOND, now

_SECONDS = 5.0


def check_certificate(part: str, host: str, port: int, context: ssl.SSLContext) -> Findings:
    """Ask one server; a context that checks nothing still tells the date."""
    where = f"{host}:{port}"
    try:
        with (
            closing(socket.create_connection((host, port), _SECONDS)) as plain,
            closing(context.wrap_socket(plain, server_hostname=host)) as line,
        ):
            shown = line.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError as error:
        yield wrong(part, "tls_untrusted", where=where, error=error.verify_message)
        return
    except ssl.SSLError as error:
        yield wrong(part, "tls_none", where=where, error=error.reason or error)
        return
    except OSError as error:
        yield wrong(part, "unreachable", where=where, error=error.strerror or error)
        return
    ends = x509.load_der_x509_certificate(shown or b"").not_valid_after_utc
    days = (round(ends.timestamp()) * SECOND - now()) // DAY
    told = {"where": where, "days": days, "date": ends.date()}
    if days < 0:
        yield wrong(part, "tls_expired", **told)
    else:
        yield (care if days < EXPIRY_DAYS else good)(part, "tls", **told)
