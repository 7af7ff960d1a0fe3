"""python -m pytest tests/unit/reranker/test_torch_packed_compiled.py

What torch.compile makes of the models: each repeated part is one graph, all layers share it, and no shape makes another one.
"""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from reranker.engines.torch_packed.engine import PackedEngine, Running  # noqa: E402
from reranker.engines.torch_packed.families import FAMILIES  # noqa: E402
from reranker.engines.torch_packed.weights import Weights  # noqa: E402
from tests.unit.reranker.packed_rows import named, random_rows, reference, tiny  # noqa: E402

# BERT: the embeddings, a layer, and the last layer, which computes first tokens only. Llama: a layer.
GRAPHS = {"bert": 3, "llama_bidirec": 1}


@pytest.mark.parametrize("family", sorted(GRAPHS))
def test_a_few_graphs_do_for_all_layers_and_shapes(family: str, tmp_path: Path) -> None:
    torch._dynamo.reset()
    checkpoint, entry = tiny(family, tmp_path)
    running = Running(torch.device("cpu"), "fp32", compiled=False, recorded=False)
    assert entry is not None
    model = FAMILIES[family].build(entry, Weights(named(checkpoint), running.device, running.type), checkpoint.max_seq_len)
    graphs: list[Any] = []

    def compiler(graph: Any, example: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    for part in model.repeated():
        part.compile(dynamic=True, fullgraph=True, backend=compiler)
    engine = PackedEngine(model, running, checkpoint.max_seq_len, checkpoint.pad_id)
    for lengths in ((5,), (40, 3), (96,) * 7, (12, 60, 33), (8,), (2, 2)):
        rows = random_rows(lengths, checkpoint.vocabulary_size)
        assert engine.infer(rows).tolist() == pytest.approx(reference(checkpoint, rows), abs=1e-4)
    assert len(graphs) == GRAPHS[family]
    torch._dynamo.reset()
