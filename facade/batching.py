"""Plans batches: rows of like length together, so that padding is next to nothing, and never more tokens than a budget.

Used on both sides of Triton: `plan` for the chunks that the facade sends, `pick` for the micro-batches that the model runs. Pure; knows
lengths only.
"""

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


def pick(lengths: Sequence[int], token_budget: int, batch_cost: int) -> list[int]:
    """The next batch out of waiting rows, as indexes: the first row, and those most like it.

    Rows of nearest length join first, while the batch keeps the budget, as in `plan`, and its padding costs no more than `batch_cost`: the
    tokens that another batch costs beside its own.
    """
    order = _sorted(lengths)
    low = high = order.index(0)
    longest, padding = lengths[0], 0
    while True:
        count = high - low + 2  # with the row that may join
        joining = []
        if low > 0 and count * longest <= token_budget:
            joining.append((longest - lengths[order[low - 1]], low - 1, high))
        if high + 1 < len(order) and count * lengths[order[high + 1]] <= token_budget:
            joining.append(((lengths[order[high + 1]] - longest) * (count - 1), low, high + 1))
        if not joining or padding + min(joining)[0] > batch_cost:
            return order[low : high + 1]
        more, low, high = min(joining)
        longest = lengths[order[high]]
        padding += more


def _sorted(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lengths.__getitem__)
