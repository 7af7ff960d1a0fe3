"""Plan batches: rows of similar length together, so that padding is small, within a budget of tokens.

Used on both sides of Triton: `plan` for the chunks that callers send, `pick` for the micro-batches that the model runs. Pure; knows lengths
only.
"""

from bisect import bisect_left
from collections.abc import Sequence


def plan(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """The fewest possible batches, as lists of row indexes, shortest rows first; every row is in exactly one.

    `lengths` are in tokens. A batch costs its number of rows times its longest row, which is at most `token_budget`; a row that is longer
    makes a batch of its own. So the budget also bounds memory.
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


def pick(lengths: Sequence[int], token_budget: int, batch_cost: int, together: int = 1) -> list[int]:
    """The next batch of waiting rows, as indexes: the first `together` rows, or the first alone, and the rows of most similar length.

    The first `together` rows are of one call, which is answered when its last row is. They stay together where they keep the budget, as in
    `plan`, and their padding costs no more than batches of their own would: `batch_cost` is the cost of one more batch, in tokens. Then
    rows join, the one with the least padding first, while the batch keeps the budget and their padding costs at most `batch_cost`.
    """
    longest, padding = max(lengths[:together]), 0
    own_padding = together * longest - sum(lengths[:together])
    if together * longest > token_budget or own_padding > batch_cost * (together - 1):
        together, longest = 1, lengths[0]
    batch = list(range(together))
    others = [row for row in _sorted(lengths) if row >= together]
    high = bisect_left(others, longest, key=lengths.__getitem__)
    low = high - 1
    while True:
        count = len(batch) + 1  # with the row that may join
        joining = []
        if low >= 0 and count * longest <= token_budget:
            joining.append((longest - lengths[others[low]], low))
        if high < len(others) and count * lengths[others[high]] <= token_budget:
            joining.append(((lengths[others[high]] - longest) * (count - 1), high))
        if not joining or padding + min(joining)[0] > batch_cost:
            return batch
        more, place = min(joining)
        low, high = (low - 1, high) if place == low else (low, high + 1)
        batch.append(others[place])
        longest = max(longest, lengths[others[place]])
        padding += more


def _sorted(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lengths.__getitem__)
