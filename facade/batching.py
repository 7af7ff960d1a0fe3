"""Plans batches: rows of like length together, so that padding is next to nothing, and never more tokens than a budget.

Used on both sides of Triton: for the chunks that the facade sends, and for the micro-batches that the model runs. Pure; knows lengths only.
"""

from collections.abc import Sequence


def plan(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Batches as lists of row indexes, shortest rows first; every row is in exactly one.

    `lengths` are in tokens. A batch costs its number of rows times its longest row, and costs at most `token_budget`, except that a row
    longer than the budget makes a batch of its own. So the budget also bounds memory.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[row] > token_budget:
            batches.append(batch)
            batch = []
        batch.append(row)
    if batch:
        batches.append(batch)
    return batches
