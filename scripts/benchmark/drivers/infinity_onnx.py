"""infinity's command line with its ONNX engine, which torch 2.9 and later break.

Its optimum takes private names of torch from where they no longer are.
"""

from __future__ import annotations

import importlib


def main() -> None:
    """Put the names where optimum looks for them, then run infinity."""
    old = importlib.import_module("torch.onnx.symbolic_opset14")
    new = importlib.import_module("torch.onnx._internal.torchscript_exporter.symbolic_opset14")
    for name in dir(new):
        if not hasattr(old, name):
            setattr(old, name, getattr(new, name))
    importlib.import_module("infinity_emb.cli").cli()


if __name__ == "__main__":
    main()
