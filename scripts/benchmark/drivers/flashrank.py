"""FlashRank in process: `python -m ... CHECKPOINT CACHE`. It accepts only known names, so the checkpoint takes one of them."""

from __future__ import annotations

import sys
from pathlib import Path

from flashrank import Ranker, RerankRequest

from scripts.benchmark.drivers.lines import Model, Request, answer, one_by_one

_NAME, _FILE = "ms-marco-MiniLM-L-12-v2", "flashrank-MiniLM-L-12-v2_Q.onnx"


def _stand_in(checkpoint: Path, cache: Path) -> None:
    folder = cache / _NAME
    folder.mkdir(parents=True, exist_ok=True)
    for link, file in [*((path.name, path) for path in checkpoint.iterdir()), (_FILE, checkpoint / "model.onnx")]:
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(file)


def load() -> Model:
    """The ranker; it sorts its passages, so each carries its index. Its scores are sigmoids."""
    checkpoint, cache = Path(sys.argv[1]), Path(sys.argv[2])
    _stand_in(checkpoint, cache)
    ranker = Ranker(model_name=_NAME, cache_dir=str(cache), max_length=512)

    def score(request: Request) -> list[float]:
        passages = [{"id": place, "text": text} for place, text in enumerate(request.passages)]
        found = {entry["id"]: float(entry["score"]) for entry in ranker.rerank(RerankRequest(query=request.query, passages=passages))}
        return [found[place] for place in range(len(passages))]

    return one_by_one(score)


if __name__ == "__main__":
    answer(load)
