"""python -m pytest tests/unit/facade/test_metrics.py

Names of series are public: a dashboard that was built on them keeps working.
"""

from prometheus_client.parser import text_string_to_metric_families

from facade.metrics import CONTENT_TYPE, Metrics

SERIES = {
    "reranker_requests": ("counter", {"route", "status"}),
    "reranker_request_seconds": ("histogram", {"route"}),
    "reranker_stage_seconds": ("histogram", {"stage"}),
    "reranker_request_passages": ("histogram", set()),
    "reranker_pairs": ("counter", set()),
    "reranker_tokens": ("counter", set()),
    "reranker_truncated_pairs": ("counter", set()),
    "reranker_rejects": ("counter", {"reason"}),
    "reranker_requests_in_flight": ("gauge", set()),
    "reranker_tokens_in_flight": ("gauge", set()),
    "reranker_ready": ("gauge", set()),
    "reranker_info": ("gauge", {"model", "version", "digest"}),
    "reranker_engine_info": ("gauge", {"engine"}),
}


def used() -> Metrics:
    metrics = Metrics()
    metrics.info.labels("nvidia/a", "1.0.0", "d1").set(1)
    metrics.requests.labels("ranking", "200").inc()
    metrics.request_seconds.labels("ranking").observe(0.02)
    metrics.stage_seconds.labels("tokenise").observe(0.001)
    metrics.rejects.labels("Overloaded").inc()
    metrics.engine.labels("openvino fp32").set(1)
    metrics.passages.observe(512)
    return metrics


def test_the_series_and_their_labels_are_these() -> None:
    families = [family for family in text_string_to_metric_families(used().text().decode()) if not family.name.endswith("_created")]
    assert {family.name: family.type for family in families} == {name: kind for name, (kind, _) in SERIES.items()}
    for family in families:
        assert {label for sample in family.samples for label in sample.labels} - {"le"} == SERIES[family.name][1]


def test_every_series_says_what_it_counts() -> None:
    assert all(family.documentation for family in text_string_to_metric_families(used().text().decode()))


def test_the_largest_request_and_the_longest_one_have_a_bucket() -> None:
    samples = [sample for family in text_string_to_metric_families(used().text().decode()) for sample in family.samples]
    bounds = {name: {sample.labels["le"] for sample in samples if sample.name == f"{name}_bucket"} for name in SERIES}
    assert "512.0" in bounds["reranker_request_passages"]
    assert "120.0" in bounds["reranker_request_seconds"]


def test_the_served_model_is_told() -> None:
    assert b'reranker_info{digest="d1",model="nvidia/a",version="1.0.0"} 1.0' in used().text()


def test_two_apps_in_one_process_count_for_themselves() -> None:
    first, second = Metrics(), Metrics()
    first.pairs.inc(7)
    assert b"reranker_pairs_total 7.0" in first.text()
    assert b"reranker_pairs_total 0.0" in second.text()


def test_a_scrape_is_told_what_it_gets() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=")
