"""infinity's command line with its ONNX engine, repaired for torch 2.9 and later, which moved private names that optimum imports."""

from __future__ import annotations

import importlib


def main() -> None:
    """Restore the names that optimum imports, then run infinity."""
    old = importlib.import_module("torch.onnx.symbolic_opset14")
    new = importlib.import_module("torch.onnx._internal.torchscript_exporter.symbolic_opset14")
    for name in dir(new):
        if not hasattr(old, name):
            setattr(old, name, getattr(new, name))
    importlib.import_module("infinity_emb.cli").cli()


if __name__ == "__main__":
    main()
