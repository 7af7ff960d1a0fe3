"""The files of a run: server.json of `make bench` and peers.json of `make bench-peers`. Knows their format only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from scripts.benchmark.load import Load, Timed
from scripts.benchmark.machine import About
from scripts.benchmark.series import Point

SERVER, PEERS = "server.json", "peers.json"
_DIGITS = 5  # of seconds: a hundredth of a millisecond


@dataclass(frozen=True)
class ServerRun:
    """One run of `make bench`. `found` are the figures of the targets; `engine` is the engine that the server reports."""

    about: About
    engine: str
    points: list[Point]
    found: dict[str, float | None]


@dataclass(frozen=True)
class PeerRow:
    """One contender: pairs per second of each round, and the verdict on its scores or the reason why it was not measured."""

    name: str
    access: str
    rates: list[float]
    start_s: float | None
    memory_mb: float | None
    verdict: str
    largest_difference: float | None
    first_changed: float | None
    failures: int
    versions: dict[str, str]


@dataclass(frozen=True)
class PeersRun:
    """One run of `make bench-peers`; ours is the first row."""

    about: About
    rows: list[PeerRow]
    found: dict[str, float | None]


def write(folder: Path, name: str, run: ServerRun | PeersRun) -> None:
    """Write a run into the folder, created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(orjson.dumps(_plain(run), option=orjson.OPT_INDENT_2) + b"\n")


def _plain(run: ServerRun | PeersRun) -> dict[str, Any]:
    if isinstance(run, PeersRun):
        return asdict(run)
    return {"about": asdict(run.about), "engine": run.engine, "found": run.found, "points": [_point(point) for point in run.points]}


def _point(point: Point) -> dict[str, Any]:
    load = point.load
    return {
        "series": point.series,
        "place": point.place,
        "round": point.round,
        "seconds": round(load.seconds, _DIGITS),
        "padding": point.padding,
        "failures": dict(load.failures),
        # seconds/pairs/engine seconds of each request, on one line
        "answers": " ".join(f"{each.seconds:.{_DIGITS}f}/{each.pairs}/{_seconds(each.engine_s)}" for each in load.answers),
    }


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.{_DIGITS}f}"


def read_server(folder: Path) -> ServerRun | None:
    """The run in the folder, or None."""
    if not (folder / SERVER).is_file():
        return None
    stored = orjson.loads((folder / SERVER).read_bytes())
    return ServerRun(About(**stored["about"]), stored["engine"], [_read_point(entry) for entry in stored["points"]], stored["found"])


def _read_point(entry: dict[str, Any]) -> Point:
    triples = [answer.split("/") for answer in entry["answers"].split()]
    answers = tuple(Timed(float(seconds), int(pairs), None if engine_s == "-" else float(engine_s)) for seconds, pairs, engine_s in triples)
    return Point(entry["series"], entry["place"], entry["round"], Load(entry["seconds"], answers, entry["failures"]), entry["padding"])


def peers_file(model: str | None) -> str:
    """The file of a run of `make bench-peers`; `model`: another than the default one."""
    return f"peers-{model}.json" if model else PEERS


def read_peers(folder: Path, model: str | None = None) -> PeersRun | None:
    """The run of the model in the folder, or None."""
    file = folder / peers_file(model)
    if not file.is_file():
        return None
    stored = orjson.loads(file.read_bytes())
    return PeersRun(About(**stored["about"]), [PeerRow(**row) for row in stored["rows"]], stored["found"])
