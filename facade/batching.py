"""Plans batches: rows of like length together, so that padding is next to nothing, and never more tokens than a budget.

Used on both sides of Triton: for the chunks that the facade sends, and for the micro-batches that the model runs. Pure; knows lengths only.
"""

from collections.abc import Sequence

import numpy as np


def plan(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Batches as lists of row indexes, shortest rows first, as few as there can be; every row is in exactly one.

    `lengths` are in tokens. A batch costs its number of rows times its longest row, and costs at most `token_budget`, except that a row
    longer than the budget makes a batch of its own. So the budget also bounds memory.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    for row in _sorted(lengths):
        if batch and (len(batch) + 1) * lengths[row] > token_budget:
            batches.append(batch)
            batch = []
        batch.append(row)
    if batch:
        batches.append(batch)
    return batches


def cheapest_plan(lengths: Sequence[int], token_budget: int, batch_cost: int) -> list[list[int]]:
    """As `plan`, but those batches that cost least together, where each costs `batch_cost` tokens beside its own.

    A batch ends early where padding the next rows up would cost more than starting another one. Found by dynamic programming over the
    sorted rows: the cheapest way to batch the first n of them ends with some last batch.
    """
    order = _sorted(lengths)
    cheapest = np.zeros(len(order) + 1, np.int64)  # tokens that the first n rows cost
    starts = [0] * (len(order) + 1)  # where the last batch of the first n rows starts
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        first = max(end - max(token_budget // longest, 1), 0)
        costs = cheapest[first:end] + batch_cost + longest * np.arange(end - first, 0, -1)
        best = int(costs.argmin())
        starts[end], cheapest[end] = first + best, costs[best]
    batches: list[list[int]] = []
    end = len(order)
    while end:
        batches.append(order[starts[end] : end])
        end = starts[end]
    return batches[::-1]


def _sorted(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lengths.__getitem__)
