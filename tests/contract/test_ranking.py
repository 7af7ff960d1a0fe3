"""python -m pytest tests/contract/test_ranking.py

What a ranking that is answered looks like: order, ties, entries, usage, truncation, models, headers.
"""

import json
import re

import aiohttp
import pytest
from tokenizers import Tokenizer

from tests.contract.calls import RANKING, call, get, post, ranked, refused, request
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed

LIMIT = 512
QUERY = "how do volcanoes form"
PASSAGES = [
    "Bread rises because yeast gives off carbon dioxide.",
    "Volcanoes form where molten rock from the mantle breaks through the crust.",
    "The committee will meet again on Thursday.",
    "Große Vulkane entstehen über heißen Flecken 🌋 im Erdmantel.",
]
LONG = "lava flows slowly down the mountain and cools . " * 80


def words(count: int) -> str:
    """A text of exactly `count` tokens."""
    return " ".join(["rock"] * count)


async def test_every_passage_is_ranked_once_best_first(client: aiohttp.ClientSession) -> None:
    assert len(ranked(await post(client, request(QUERY, PASSAGES)))) == len(PASSAGES)


async def test_the_same_request_gets_the_same_answer(client: aiohttp.ClientSession) -> None:
    answers = [ranked(await post(client, request(QUERY, PASSAGES))) for _ in range(2)]
    assert [index for index, _ in answers[0]] == [index for index, _ in answers[1]]
    assert dict(answers[0]) == pytest.approx(dict(answers[1]), abs=1e-3)


async def test_a_passage_s_logit_follows_it_to_another_place_in_the_request(client: aiohttp.ClientSession) -> None:
    forwards = dict(ranked(await post(client, request(QUERY, PASSAGES))))
    backwards = dict(ranked(await post(client, request(QUERY, PASSAGES[::-1]))))
    assert [forwards[index] for index in range(4)] == pytest.approx([backwards[3 - index] for index in range(4)], abs=1e-3)


async def test_identical_passages_tie_and_keep_the_request_s_order(client: aiohttp.ClientSession) -> None:
    entries = ranked(await post(client, request(QUERY, [PASSAGES[1]] * 4)))
    assert len({logit for _, logit in entries}) == 1
    assert [index for index, _ in entries] == [0, 1, 2, 3]


async def test_of_equal_logits_the_lower_index_comes_first(app: StartApp) -> None:
    client = await app(Fixed([1.0, 2.0, 1.0, 2.0, 1.0]))
    entries = ranked(await post(client, request(QUERY, ["a", "b", "c", "d", "e"])))
    assert [index for index, _ in entries] == [1, 3, 0, 2, 4]


async def test_logits_are_raw_and_not_squashed(app: StartApp) -> None:
    client = await app(Fixed([-11.5, 23.25]))
    assert ranked(await post(client, request(QUERY, ["a", "b"]))) == [(1, 23.25), (0, -11.5)]


async def test_an_entry_is_exactly_index_and_logit(client: aiohttp.ClientSession) -> None:
    entries = (await post(client, request(QUERY, PASSAGES))).body["rankings"]
    assert [sorted(entry) for entry in entries] == [["index", "logit"]] * len(PASSAGES)


async def test_one_passage_is_answered(client: aiohttp.ClientSession) -> None:
    assert [index for index, _ in ranked(await post(client, request(QUERY, PASSAGES[:1])))] == [0]


async def test_512_passages_are_answered(client: aiohttp.ClientSession) -> None:
    assert len(ranked(await post(client, request("rock", ["lava"] * 511 + ["ash"])))) == 512


async def test_an_empty_passage_is_answered(client: aiohttp.ClientSession) -> None:
    assert len(ranked(await post(client, request(QUERY, ["", PASSAGES[1]])))) == 2


@pytest.mark.parametrize(
    "text", [" ", "\n\t", "\x00", "\ufffd", "火山はどうやってできる", "🌋", "\u202eabc", "[SEP] [CLS] [PAD]"], ids=ascii
)
async def test_any_text_that_is_unicode_is_answered(client: aiohttp.ClientSession, text: str) -> None:
    assert len(ranked(await post(client, request(text, [text, QUERY])))) == 2


async def test_special_tokens_that_a_passage_spells_out_leave_its_neighbours_alone(client: aiohttp.ClientSession) -> None:
    alone = dict(ranked(await post(client, request(QUERY, [PASSAGES[0], PASSAGES[1]]))))
    beside = dict(ranked(await post(client, request(QUERY, ["[SEP] [CLS]", PASSAGES[1]]))))
    assert alone[1] == pytest.approx(beside[1], abs=1e-3)


async def test_escaped_and_plain_json_of_one_text_score_the_same(client: aiohttp.ClientSession) -> None:
    plain = ranked(await post(client, request(QUERY, [PASSAGES[3], "x"])))
    escaped = json.dumps(request(QUERY, [PASSAGES[3], "x"]), ensure_ascii=True)
    assert "\\ud83c" in escaped
    assert dict(ranked(await post(client, escaped.encode()))) == pytest.approx(dict(plain), abs=1e-3)


# usage


async def test_usage_is_the_library_s_own_count_in_both_fields(client: aiohttp.ClientSession, tokenizer: Tokenizer) -> None:
    usage = (await post(client, request(QUERY, PASSAGES))).body["usage"]
    tokens = sum(len(tokenizer.encode(QUERY, passage).ids) for passage in PASSAGES)
    assert usage == {"prompt_tokens": tokens, "total_tokens": tokens}


async def test_usage_counts_after_truncation(client: aiohttp.ClientSession, cutting_tokenizer: Tokenizer) -> None:
    passages = [LONG, PASSAGES[1], LONG + LONG]
    usage = (await post(client, request(QUERY, passages, truncate="END"))).body["usage"]
    tokens = sum(len(cutting_tokenizer.encode(QUERY, passage).ids) for passage in passages)
    assert usage == {"prompt_tokens": tokens, "total_tokens": tokens}


# truncation


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


async def test_a_query_that_overfills_the_limit_is_answered_with_end(client: aiohttp.ClientSession) -> None:
    answer = await post(client, request(words(LIMIT + 100), ["lava", "ash"], truncate="END"))
    assert len(ranked(answer)) == 2
    assert answer.body["usage"]["total_tokens"] == 2 * LIMIT
    assert answer.headers["X-Truncated-Passages"] == "0,1"


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


# models


@pytest.mark.parametrize("model", [{}, {"model": None}], ids=["absent", "null"])
async def test_no_model_means_the_served_one(client: aiohttp.ClientSession, model: dict[str, None]) -> None:
    ranked(await post(client, {**request(QUERY, PASSAGES), **model}))


async def test_the_listed_model_is_answered(client: aiohttp.ClientSession) -> None:
    name = (await get(client, "/v1/models")).body["data"][0]["id"]
    ranked(await post(client, request(QUERY, PASSAGES, model=name)))


@pytest.mark.parametrize("variable", ["NIM_SERVED_MODEL_NAME", "NIM_SERVER_SERVED_MODEL_NAME"])
async def test_a_further_name_is_answered_and_the_model_s_own_still_is(real_app: StartApp, variable: str) -> None:
    client = await real_app(None, **{variable: "nvidia/llama-nemotron-rerank-1b-v2, short"})
    own = (await get(client, "/v1/models")).body["data"][0]["id"]
    for name in (own, "nvidia/llama-nemotron-rerank-1b-v2", "short"):
        ranked(await post(client, request(QUERY, PASSAGES, model=name)))


async def test_an_unknown_model_is_not_found_and_the_served_ones_are_named(client: aiohttp.ClientSession) -> None:
    served = [entry["id"] for entry in (await get(client, "/v1/models")).body["data"]]
    body = refused(await post(client, request(QUERY, PASSAGES, model="nvidia/nv-rerankqa-mistral-4b-v3")), 404)
    assert body["detail"]["served"] == served
    assert all(name in body["message"] for name in served)


async def test_a_model_s_name_is_matched_whole(client: aiohttp.ClientSession) -> None:
    own = (await get(client, "/v1/models")).body["data"][0]["id"]
    refused(await post(client, request(QUERY, PASSAGES, model=own.upper())), 404)


# headers


async def test_server_timing_has_every_stage_in_milliseconds(client: aiohttp.ClientSession) -> None:
    timing = (await post(client, request(QUERY, PASSAGES))).headers["Server-Timing"]
    stages = dict(re.fullmatch(r"(\w+);dur=(\d+\.\d+)", entry).groups() for entry in timing.split(", "))  # type: ignore[union-attr]
    assert set(stages) == {"decode", "tokenise", "queue", "infer", "rank"}
    assert 0 < float(stages["infer"]) < 60_000


@pytest.mark.parametrize("given", ["a", "7c1f3a52-5a55-4f0a-9e0e-6a9a2f4cbb11", "trace/span.1:2+3=4@host_5", "x" * 128])
async def test_a_well_formed_request_id_is_taken_over(client: aiohttp.ClientSession, given: str) -> None:
    answer = await post(client, request(QUERY, PASSAGES), **{"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "semi;colon", 'quote"d', "<b>", "\u00e9"])
async def test_a_malformed_request_id_is_replaced(client: aiohttp.ClientSession, given: str) -> None:
    answer = await post(client, request(QUERY, PASSAGES), **{"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])


async def test_requests_without_an_id_get_different_ones(client: aiohttp.ClientSession) -> None:
    ids = {(await get(client, "/v1/health/live")).headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_refusal_carries_the_request_s_id(client: aiohttp.ClientSession) -> None:
    answer = await post(client, b"{", **{"X-Request-Id": "mine-400"})
    refused(answer, 400)
    assert answer.headers["X-Request-Id"] == "mine-400"


async def test_an_unknown_path_carries_the_request_s_id(client: aiohttp.ClientSession) -> None:
    answer = await call(client, "GET", "/nowhere", headers={"X-Request-Id": "mine-404"})
    refused(answer, 404)
    assert answer.headers["X-Request-Id"] == "mine-404"


@pytest.mark.parametrize("header", ["Bearer nvapi-0000", "Bearer NO_API_KEY_PROVIDED", "Basic x"])
async def test_an_authorisation_that_clients_send_anyway_is_ignored(client: aiohttp.ClientSession, header: str) -> None:
    ranked(await post(client, request(QUERY, PASSAGES), RANKING, Authorization=header))
