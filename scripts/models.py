"""`make models`: lists the exported models in the cache, and removes one. Knows the command line."""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from facade.config.engine_settings import PRECISIONS, EngineSettings
from facade.errors import RerankerError, SettingsError
from scripts.arguments import Parser
from scripts.model_cache.entries import Entry, entries, models_folder, remove, size_of
from scripts.model_cache.lookup import Wanted, find, guess, names_of
from scripts.serving.live_runs import serves

_HEAD = ("name", "model", "precision", "size", "parity", "exported", "folder")


def main(arguments: list[str] | None = None) -> int:
    """List, find or remove; returns 2 for what can't be done, with one line that says why."""
    options = _parser().parse_args(arguments)
    try:
        models = models_folder(EngineSettings.from_environment().home)
        if options.find:
            return _print_folder(options, models)
        if options.remove:
            print(_removed(options.remove, models))
        else:
            print(_list(models))
    except (RerankerError, OSError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 2
    return 0


def _print_folder(options: argparse.Namespace, models: Path) -> int:
    """Print the folder of the model's bundle, or nothing where it has to be exported."""
    precision = None if options.precision in {None, "auto"} else options.precision
    entry = find(Wanted(options.find, precision, options.name), models)
    if entry:
        print(entry.folder)
    else:
        what = f"{options.find}{f' in {precision}' if precision else ''}{f' as {options.name}' if options.name else ''}"
        print(f"{what} is not in {models} yet{guess(options.find, entries(models))}: exporting it, once", file=sys.stderr)
    return 0


def _list(models: Path) -> str:
    found = entries(models)
    if not found:
        return f"no exported models in {models}; export and serve one: make serve MODEL=<hub id or folder>"
    rows = [_HEAD, *(_row(entry) for entry in found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    name = found[0].name
    return "\n".join(
        [
            *lines,
            "",
            f"serve one    make serve MODEL={name}",
            f"switch to it make switch MODEL={name}    (while a server runs, without a failed request)",
            f"remove one   make models REMOVE={name}",
        ]
    )


def _row(entry: Entry) -> tuple[str, ...]:
    report = entry.bundle.parity(entry.precision)
    parity = f"{report['max_abs_difference']:.1e}, order {report['rank_agreement']:.1%}"
    exported = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.exported_s))
    served = f" (served on {', '.join(map(str, ports))})" if (ports := serves(entry.folder)) else ""
    size = f"{size_of(entry.folder) / 1e6:,.1f} MB"
    return entry.name, entry.bundle.model_id, entry.precision, size, parity, exported, f"{shlex.quote(str(entry.folder))}{served}"


def _removed(name: str, models: Path) -> str:
    """Remove one entry. Raises SettingsError where the name fits none or several, or a server serves it."""
    known = entries(models)
    entry = _one_of([entry for entry in known if name in names_of(entry)], name, known)
    if ports := serves(entry.folder):
        raise SettingsError(f"the server on port {ports[0]} serves {entry.name}: stop it, or `make switch` it to another model first")
    return f"removed {entry.folder}, {remove(entry) / 1e6:,.1f} MB"


def _one_of(fitting: Sequence[Entry], name: str, known: Sequence[Entry]) -> Entry:
    if not fitting:
        raise SettingsError(f"no exported model is called {name}{guess(name, known)}: `make models` lists them")
    if len(fitting) > 1:
        raise SettingsError(f"{name} is {len(fitting)} exported models: give one of the names {', '.join(each.name for each in fitting)}")
    return fitting[0]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m scripts.models", description="List the exported models in the cache (RERANKER_HOME).")
    parser.add_argument("--remove", metavar="NAME", help="remove this model, unless a server serves it")
    parser.add_argument("--find", metavar="MODEL", help="print the folder of this model's bundle, or nothing where it is not exported")
    parser.add_argument("--precision", choices=PRECISIONS, help="with --find: the export's precision (default: any)")
    parser.add_argument("--name", help="with --find: the model id that clients send (default: any)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
