"""python -m pytest tests/contract/test_ranking.py

What a ranking that is answered looks like: order, ties, entries, usage, models, headers.
"""

import json
import re

import aiohttp
import pytest
from tokenizers import Tokenizer

from tests.contract.calls import PASSAGES, QUERY, RANKING, call, get, post, ranked, refused, request
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed, Swapped


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
    stages = dict(re.findall(r"(?:^|, )(\w+);dur=(\d+\.\d+)(?=, |$)", timing))
    assert set(stages) == {"decode", "tokenise", "queue", "infer", "pack", "rank"}
    assert 0 < float(stages["infer"]) < 60_000


async def test_server_timing_counts_an_attempt_that_a_swap_made_vain(app: StartApp) -> None:
    scorer = Swapped("one", "two", seconds=0.2)
    client = await app(scorer)
    scorer.swap()
    timing = (await post(client, request(QUERY, PASSAGES))).headers["Server-Timing"]
    stages = {stage: float(ms) for stage, ms in re.findall(r"(\w+);dur=(\d+\.\d+)", timing)}
    assert stages["queue"] >= 400, "both attempts, and the pause between them"


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
