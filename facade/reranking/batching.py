"""Plans batches: rows of like length together, so that padding is next to nothing, and never more tokens than a budget.

Used on both sides of Triton: `plan` for the chunks that the facade sends, `pick` for the micro-batches that the model runs. Pure; knows
lengths only.
"""

from bisect import bisect_left
from collections.abc import Sequence


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


def pick(lengths: Sequence[int], token_budget: int, batch_cost: int, together: int = 1) -> list[int]:
    """The next batch out of waiting rows, as indexes: the first `together` rows, or the first alone, and those most like them.

    The first ones, of one call, which is answered when the last of them is, are together where they keep the budget, as in `plan`, and
    their padding costs no more than batches of their own: `batch_cost` is the tokens that another batch costs beside its own. Then rows
    join, the one that costs the least padding first, while the batch keeps the budget and they cost it no more than `batch_cost`.
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
