"""Rebuilds the Hugging Face checkpoint of the default bundle from its graph, so that the repository holds the weights only once.

`python -m scripts.rebuild_checkpoint --out FOLDER`. The weights are bit-equal to the bundle's; tests and benchmarks of peers use them.
Knows the files; `scripts/bert/rebuilt.py` reads the weights.
"""

import shutil
import sys
from pathlib import Path

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import TOKENIZER, WEIGHTS, newest_version, read_bundle
from facade.reranking.tensors import MODEL
from scripts.arguments import Parser
from scripts.bert.base_model import base_tokenizer
from scripts.bert.rebuilt import RebuildError, rebuild


def write(folder: Path, out: Path) -> None:
    """Write the checkpoint of the bundle in `folder` to `out`: weights, config, and the tokenizer without padding or truncation."""
    rebuild(folder).save_pretrained(out)
    base_tokenizer().save_pretrained(out)
    shutil.copy(folder / TOKENIZER, out / TOKENIZER)


def main() -> int:
    """Rebuild; return 2 if the graph or the base model can't be used."""
    parser = Parser(prog="python -m scripts.rebuild_checkpoint", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    options = parser.parse_args()
    bundle = read_bundle(newest_version(REPOSITORY / MODEL))
    bundle.verify(WEIGHTS, TOKENIZER)
    try:
        write(bundle.folder, options.out)
    except (RebuildError, RuntimeError) as error:
        print(f"rebuild_checkpoint: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: the checkpoint of {bundle.model_id} {bundle.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
