"""python -m pytest tests/contract/test_truncation.py

Pairs over the model's limit: refused with NONE, cut with END, and which limit it is.
"""

import aiohttp
import pytest
from tokenizers import Tokenizer

from tests.contract.calls import PASSAGES, QUERY, post, ranked, refused, request, scrape
from tests.contract.conftest import StartApp

LIMIT = 512
LONG = "lava flows slowly down the mountain and cools . " * 80


def words(count: int) -> str:
    """A text of exactly `count` tokens."""
    return " ".join(["rock"] * count)


async def test_usage_counts_after_truncation(client: aiohttp.ClientSession, cutting_tokenizer: Tokenizer) -> None:
    passages = [LONG, PASSAGES[1], LONG + LONG]
    usage = (await post(client, request(QUERY, passages, truncate="END"))).body["usage"]
    tokens = sum(len(cutting_tokenizer.encode(QUERY, passage).ids) for passage in passages)
    assert usage == {"prompt_tokens": tokens, "total_tokens": tokens}


async def test_none_refuses_a_pair_over_the_limit_with_its_exact_length(client: aiohttp.ClientSession, tokenizer: Tokenizer) -> None:
    tokens = len(tokenizer.encode(QUERY, LONG).ids)
    body = refused(await post(client, request(QUERY, [PASSAGES[0], LONG], truncate="NONE")), 422)
    assert body["message"] == f"Input length {tokens} exceeds maximum allowed token size {LIMIT}"
    assert body["detail"]["pairs"] == [{"passage": 1, "tokens": tokens}]
    assert body["detail"]["max_tokens"] == LIMIT


async def test_none_is_the_default(client: aiohttp.ClientSession) -> None:
    refused(await post(client, request(QUERY, [LONG])), 422)


async def test_every_pair_over_the_limit_is_listed_and_the_message_names_the_longest(
    client: aiohttp.ClientSession, tokenizer: Tokenizer
) -> None:
    passages = [LONG, PASSAGES[0], LONG + LONG, LONG]
    lengths = [len(tokenizer.encode(QUERY, passage).ids) for passage in passages]
    body = refused(await post(client, request(QUERY, passages)), 422)
    assert body["detail"]["pairs"] == [{"passage": index, "tokens": lengths[index]} for index in (0, 2, 3)]
    assert body["message"] == f"Input length {max(lengths)} exceeds maximum allowed token size {LIMIT}"


async def test_a_pair_of_exactly_the_limit_is_not_refused(client: aiohttp.ClientSession, tokenizer: Tokenizer) -> None:
    passage = words(LIMIT - 3 - len(tokenizer.encode(QUERY, add_special_tokens=False).ids))
    answer = await post(client, request(QUERY, [passage], truncate="NONE"))
    ranked(answer)
    assert answer.body["usage"]["total_tokens"] == LIMIT


async def test_a_pair_of_one_token_over_the_limit_is_refused(client: aiohttp.ClientSession, tokenizer: Tokenizer) -> None:
    passage = words(LIMIT - 2 - len(tokenizer.encode(QUERY, add_special_tokens=False).ids))
    body = refused(await post(client, request(QUERY, [passage], truncate="NONE")), 422)
    assert body["message"].startswith(f"Input length {LIMIT + 1} ")


async def test_none_answers_as_end_does_where_nothing_is_too_long(client: aiohttp.ClientSession) -> None:
    none, end = [dict(ranked(await post(client, request(QUERY, PASSAGES, truncate=truncate)))) for truncate in ("NONE", "END")]
    assert none == pytest.approx(end, abs=1e-3)


async def test_end_cuts_and_the_header_lists_which_passages(client: aiohttp.ClientSession) -> None:
    answer = await post(client, request(QUERY, [PASSAGES[0], LONG, PASSAGES[1], LONG], truncate="END"))
    assert len(ranked(answer)) == 4
    assert answer.headers["X-Truncated-Passages"] == "1,3"


async def test_the_header_is_absent_where_nothing_was_cut(client: aiohttp.ClientSession) -> None:
    answer = await post(client, request(QUERY, PASSAGES, truncate="END"))
    assert answer.status == 200
    assert "X-Truncated-Passages" not in answer.headers


async def test_end_cuts_the_passage_s_end_and_nothing_else(client: aiohttp.ClientSession, tokenizer: Tokenizer) -> None:
    room = LIMIT - 3 - len(tokenizer.encode(QUERY, add_special_tokens=False).ids)
    head = words(room)
    answer = await post(client, request(QUERY, [head, head + " and much more of it"], truncate="END"))
    logits = dict(ranked(answer))
    assert logits[0] == pytest.approx(logits[1], abs=1e-3)
    assert answer.headers["X-Truncated-Passages"] == "1"


async def test_a_query_that_fills_the_limit_is_answered_with_end(client: aiohttp.ClientSession) -> None:
    answer = await post(client, request(words(LIMIT - 3), ["lava", ""], truncate="END"))
    assert len(ranked(answer)) == 2
    assert answer.body["usage"]["total_tokens"] == 2 * LIMIT
    assert answer.headers["X-Truncated-Passages"] == "0"
    assert answer.headers["X-Truncated-Query"] == "1"


async def test_a_query_that_overfills_the_limit_is_answered_with_end(client: aiohttp.ClientSession) -> None:
    answer = await post(client, request(words(LIMIT + 100), ["lava", "ash"], truncate="END"))
    assert len(ranked(answer)) == 2
    assert answer.body["usage"]["total_tokens"] == 2 * LIMIT
    assert answer.headers["X-Truncated-Passages"] == "0,1"
    assert answer.headers["X-Truncated-Query"] == "1"
    assert len({logit for _, logit in ranked(answer)}) == 1


async def test_a_query_that_leaves_room_for_a_token_is_not_called_truncated(client: aiohttp.ClientSession) -> None:
    answer = await post(client, request(words(LIMIT - 4), ["lava ash", "ash"], truncate="END"))
    assert len(ranked(answer)) == 2
    assert answer.headers["X-Truncated-Passages"] == "0"
    assert "X-Truncated-Query" not in answer.headers


async def test_a_query_that_fills_the_limit_alone_truncates_nothing(client: aiohttp.ClientSession) -> None:
    answer = await post(client, request(words(LIMIT - 3), ["", ""], truncate="END"))
    assert answer.status == 200
    assert "X-Truncated-Query" not in answer.headers


async def test_truncated_queries_are_counted(client: aiohttp.ClientSession) -> None:
    before = (await scrape(client)).value("reranker_truncated_queries_total")
    for query in (words(LIMIT), words(LIMIT - 3), QUERY):
        assert (await post(client, request(query, ["lava", words(LIMIT)], truncate="END"))).status == 200
    assert (await scrape(client)).value("reranker_truncated_queries_total") == before + 2


async def test_a_query_that_overfills_the_limit_is_refused_with_none(client: aiohttp.ClientSession) -> None:
    body = refused(await post(client, request(words(600), ["lava"], truncate="NONE")), 422)
    assert body["message"] == f"Input length {600 + 1 + 3} exceeds maximum allowed token size {LIMIT}"


async def test_nim_max_seq_len_lowers_the_limit_of_none(real_app: StartApp) -> None:
    client = await real_app(NIM_MAX_SEQ_LEN="64")
    body = refused(await post(client, request("rock", [words(60), words(61)])), 422)
    assert body["message"] == "Input length 65 exceeds maximum allowed token size 64"
    assert body["detail"]["pairs"] == [{"passage": 1, "tokens": 65}]


async def test_nim_max_seq_len_lowers_the_limit_of_end(real_app: StartApp) -> None:
    client = await real_app(NIM_MAX_SEQ_LEN="64")
    answer = await post(client, request("rock", [words(60), words(61), words(600)], truncate="END"))
    assert len(ranked(answer)) == 3
    assert answer.body["usage"]["total_tokens"] == 3 * 64
    assert answer.headers["X-Truncated-Passages"] == "1,2"
