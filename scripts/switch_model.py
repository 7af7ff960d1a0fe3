"""`make switch`: has a running server take over another exported model, without a failed request. Knows the command line and folders.

The server is this user's, was started with RERANKER_MODEL, and listens on the HTTP port of the settings.
"""

import sys
import time
from pathlib import Path

from facade.config.settings import Settings
from facade.errors import RerankerError, SettingsError
from facade.reranking.active_bundle import read_version
from facade.reranking.bundle import Bundle, versions
from facade.reranking.tensors import MODEL
from scripts.model_cache.chosen import served_bundle
from scripts.serving.live_runs import run_on
from scripts.serving.own_repository import add_version, bundles_of, outcome, repository_of

_LIMIT_S = 600.0  # weights of gigabytes from a slow disk
_LOOK_EVERY_S = 0.1


def main() -> int:
    """Switch to the model that RERANKER_MODEL names; 2 where the server can't serve it and keeps its own."""
    try:
        settings = Settings.from_environment()
        print(switch(settings, served_bundle(settings)))
    except (RerankerError, OSError) as error:
        print(f"switch: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def switch(settings: Settings, folder: Path, limit_s: float = _LIMIT_S) -> str:
    """Have the server on the settings' HTTP port take over the bundle in `folder`. Returns what it serves then.

    Raises SettingsError where there is no such server, or it can't serve the bundle: it keeps its own then.
    """
    port = settings.address[1]
    run = run_on(port)
    repository = repository_of(run) if run else None
    if run is None or repository is None:
        raise SettingsError(
            f"no server of this user on port {port} was started with MODEL: start it by `make serve MODEL=…`, "
            "or set the NIM_HTTP_API_PORT and TMPDIR that it was started with"
        )
    bundle = read_version(folder, settings.max_seq_len).bundle
    if bundles_of(repository)[:1] == [folder.resolve()]:
        return f"the server on port {port} serves {_named(bundle)} already"
    version = add_version(repository, folder)
    print(f"the server on port {port} loads {_named(bundle)}", flush=True)
    try:
        fault = _wait(run, version, limit_s)
    except BaseException:
        version.unlink(missing_ok=True)
        raise
    if fault:
        version.unlink(missing_ok=True)
        raise SettingsError(f"the server on port {port} keeps its model, it can't serve {bundle.model_id}: {fault}")
    for former in versions(repository / MODEL):
        if int(former.name) < int(version.name):
            former.unlink(missing_ok=True)
    return f"the server on port {port} serves {_named(bundle)}"


def _named(bundle: Bundle) -> str:
    return f"{bundle.model_id}, bundle {bundle.digest:.12}"


def _wait(run: Path, version: Path, limit_s: float) -> str:
    """Empty once the server serves the version, else why it does not."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = outcome(run, version)
        if found is not None:
            return found
        if not run.is_dir():
            return "the server has stopped"
        time.sleep(_LOOK_EVERY_S)
    return f"it has not loaded it within {limit_s:.0f} s; its log says more"


if __name__ == "__main__":
    sys.exit(main())
