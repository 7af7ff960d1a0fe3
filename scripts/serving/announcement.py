"""The message of a ready server: its address, its model, and a request to try. Knows settings, no processes."""

import logging

from facade.config.settings import Settings

LOG = logging.getLogger("serve")

_CURL = """curl -s{options} {url}/v1/ranking -H 'Content-Type: application/json' -d '{{
  "query": {{"text": "which way should i go?"}},
  "passages": [
    {{"text": "two roads diverged in a yellow wood, and sorry i could not travel both"}},
    {{"text": "i shall be telling this with a sigh somewhere ages and ages hence"}}
  ],
  "truncate": "END"
}}'"""


def _shown_url(settings: Settings) -> str:
    """The base URL of the API for a client on this machine."""
    host, port = settings.address
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = "localhost"
    return f"http{'' if settings.tls == 'DISABLED' else 's'}://{f'[{host}]' if ':' in host else host}:{port}"


def _curl_options(settings: Settings) -> str:
    """The options of curl for certificates and keys."""
    tls = "" if settings.tls == "DISABLED" else f" --cacert {settings.tls_cert}"
    own = " --cert client.pem --key client.key" if settings.tls == "MTLS" else ""
    key = " -H 'Authorization: Bearer <key>'" if settings.api_keys_file else ""
    return tls + own + key


def announce(settings: Settings, model: str, seconds: float) -> None:
    """Print that `model` is served after `seconds`, and a request to try; with JSON logs, log only the first line."""
    url = _shown_url(settings)
    page = "a page to try it at /, " if settings.page else ""
    ready = f"Ready after {seconds:.1f} s: {url} serves {model}; {page}documentation at /docs, stop with Ctrl-C."
    if settings.json_logs:
        LOG.info(ready)
        return
    print(f"\n{ready} Try:\n", flush=True)
    print(_CURL.format(url=url, options=_curl_options(settings)), flush=True)
