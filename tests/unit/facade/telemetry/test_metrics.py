"""python -m pytest tests/unit/facade/telemetry/test_metrics.py

Names of series are public: a dashboard that was built on them keeps working. docs/observability.md is the promise.
"""

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from facade import __version__, errors
from facade.errors import BundleError, RerankerError, SettingsError
from facade.telemetry.metrics import CONTENT_TYPE, REASONS, STAGES, Metrics, reason
from tests import documented

# Of the Prometheus client; a gauge that comes with each counter and histogram has its start.
_CLIENTS_OWN = ("process_", "python_")
_BEGUN = "_created"


def used() -> Metrics:
    metrics = Metrics()
    metrics.info.labels("nvidia/a", "1.0.0", "d1").set(1)
    metrics.requests.labels("ranking", "200").inc()
    metrics.request_seconds.labels("ranking").observe(0.02)
    metrics.shapes.labels("texts", "200").inc()
    metrics.engine.labels("openvino fp32").set(1)
    metrics.passages.observe(512)
    metrics.tritons.labels("serving").set(2)
    return metrics


def families(metrics: Metrics) -> dict[str, Metric]:
    """Those of our own, by the name that is queried."""
    found = [each for each in text_string_to_metric_families(metrics.text().decode()) if not each.name.endswith(_BEGUN)]
    own = [each for each in found if not each.name.startswith(_CLIENTS_OWN)]
    return {each.name + ("_total" if each.type == "counter" else ""): each for each in own}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics._registry.get_sample_value(name, labels)


def test_the_series_are_those_of_the_documentation() -> None:
    served = {
        name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"}, family.documentation)
        for name, family in families(used()).items()
    }
    promised = {name: (each.kind, set(each.labels), each.meaning) for name, each in documented.series("Facade").items()}
    assert served == promised


def test_the_stages_and_reasons_are_those_of_the_documentation() -> None:
    assert documented.values("stage") == list(STAGES)
    assert documented.values("reason") == list(REASONS)


def test_every_error_has_a_reason_of_its_own_or_is_an_invalid_request() -> None:
    family = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, RerankerError)]
    ends_a_request = [each for each in family if each not in {RerankerError, BundleError, SettingsError}]
    reasons = {each: reason(each.__new__(each)) for each in ends_a_request}
    assert set(reasons.values()) <= set(REASONS)
    own = [each for each in ends_a_request if reasons[each] != "invalid_request" or each is errors.InvalidRequestError]
    assert len({reasons[each] for each in own}) == len(own) > 7
    assert all(issubclass(each, errors.InvalidRequestError) for each in set(ends_a_request) - set(own))
    assert reasons[errors.OverloadedError] == "overloaded"
    assert reasons[errors.InputTooLongError] == "input_too_long"


def test_an_error_of_no_family_is_internal() -> None:
    assert reason(KeyError("x")) == "internal"


def test_what_is_counted_by_reason_and_stage_is_there_before_it_happens() -> None:
    assert [value(Metrics(), "reranker_rejects_total", reason=each) for each in REASONS] == [0.0] * len(REASONS)
    assert [value(Metrics(), "reranker_stage_seconds_count", stage=each) for each in STAGES] == [0.0] * len(STAGES)
    rankings = ("ranking", "of_another_shape")
    metrics = Metrics(rankings)
    assert [value(metrics, "reranker_requests_total", route=each, status="200") for each in rankings] == [0.0, 0.0]


def test_the_largest_request_and_the_longest_one_have_a_bucket() -> None:
    assert value(used(), "reranker_request_passages_bucket", le="512.0") == 1
    assert value(used(), "reranker_request_seconds_bucket", route="ranking", le="120.0") == 1


def test_the_served_model_and_the_version_are_series() -> None:
    assert value(used(), "reranker_info", digest="d1", model="nvidia/a", version="1.0.0") == 1
    assert value(used(), "reranker_build_info", version=__version__) == 1


def test_memory_files_and_start_of_the_process_are_series() -> None:
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"):
        assert (value(Metrics(), name) or 0) > 0


def test_two_apps_in_one_process_count_for_themselves() -> None:
    first, second = Metrics(), Metrics()
    first.pairs.inc(7)
    assert b"reranker_pairs_total 7.0" in first.text()
    assert b"reranker_pairs_total 0.0" in second.text()


def test_a_scrape_has_the_content_type() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=")
