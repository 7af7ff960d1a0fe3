"""python -m pytest tests/unit/facade/reranking/test_bundle.py

A bundle is read whole or refused with what to do.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from facade.errors import BundleError
from facade.reranking.bundle import (
    MANIFEST,
    TOKENIZER,
    WEIGHTS,
    Bundle,
    PairEncoding,
    lowered_limit,
    manifest_digest,
    newest_version,
    read_bundle,
    versions,
)
from tests.unit.conftest import MakeBundle

# What the code asks a manifest for.
ENTRIES = (
    "format",
    "model_id",
    "version",
    "modalities",
    "pair_encoding",
    "max_seq_len",
    "vocabulary_size",
    "pad_id",
    "precision",
    "licence",
    "parity",
    "files",
)


def test_the_default_bundle_is_what_its_manifest_says(bundle: Bundle) -> None:
    manifest = json.loads((bundle.folder / MANIFEST).read_text())
    pair = manifest["pair_encoding"]
    assert bundle == Bundle(
        folder=bundle.folder,
        model_id=manifest["model_id"],
        version=manifest["version"],
        max_seq_len=manifest["max_seq_len"],
        vocabulary_size=manifest["vocabulary_size"],
        pad_id=manifest["pad_id"],
        pair_encoding=PairEncoding(tuple(pair["before_query"]), tuple(pair["between"]), tuple(pair["after_passage"]), pair["segment_ids"]),
        digest=manifest["digest"],
        manifest=manifest,
    )


def test_the_default_bundle_has_every_entry_that_the_code_asks_for(bundle: Bundle) -> None:
    assert set(ENTRIES) <= set(bundle.manifest)


def test_the_default_bundles_files_are_whole(bundle: Bundle) -> None:
    bundle.verify(TOKENIZER, WEIGHTS)


def test_special_tokens_are_counted_over_the_whole_pair() -> None:
    assert PairEncoding((1, 2), (3,), (4, 5, 6), segment_ids=False).special_tokens == 6


def test_a_missing_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"reranker\.json is missing.*make export-model"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{'format': 1}"])
def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match=r"is no valid JSON.*make export-model"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("manifest", [[], None, "bundle", {}, {"format": 2}, {"format": "1"}])
def test_a_manifest_of_another_format_is_refused(tmp_path: Path, manifest: object) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="expected a bundle of format 1"):
        read_bundle(tmp_path)


def test_a_manifest_that_was_changed_after_its_export_is_refused(make_bundle: MakeBundle) -> None:
    path = make_bundle() / MANIFEST
    path.write_text(path.read_text().replace('"max_seq_len": 512', '"max_seq_len": 513'))
    with pytest.raises(BundleError, match="changed after its export"):
        read_bundle(path.parent)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_manifest_that_lacks_an_entry_is_refused_when_it_is_read(make_bundle: MakeBundle, entry: str) -> None:
    folder = make_bundle(**{entry: None})
    with pytest.raises(BundleError):
        read_bundle(folder)


@pytest.mark.parametrize("pair", [{}, {"before_query": [1], "between": [2], "segment_ids": True}, "pair", [1]])
def test_a_pair_encoding_of_another_form_is_refused(make_bundle: MakeBundle, pair: object) -> None:
    folder = make_bundle(pair_encoding=pair)
    with pytest.raises(BundleError, match="lacks an entry"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("max_seq_len", "512"),
        ("max_seq_len", -1),
        ("max_seq_len", 0),
        ("max_seq_len", 3),  # the special tokens alone
        ("max_seq_len", True),
        ("max_seq_len", 512.0),
        ("vocabulary_size", "30522"),
        ("vocabulary_size", 0),
        ("vocabulary_size", 102),  # below a special token
        ("pad_id", -1),
        ("pad_id", 30522),
        ("pad_id", None),
        ("model_id", ""),
        ("model_id", 7),
        ("version", 1),
        ("precision", None),
        ("licence", "MIT"),
        ("modalities", "text"),
        ("parity", []),
        ("files", ["model.onnx"]),
        ("files", {"../model.onnx": "0" * 64}),
        ("files", {"model.onnx": 7}),
        ("pair_encoding", {"before_query": ["a"], "between": [2], "after_passage": [3], "segment_ids": True}),
        ("pair_encoding", {"before_query": [-1], "between": [2], "after_passage": [3], "segment_ids": True}),
        ("pair_encoding", {"before_query": 1, "between": [2], "after_passage": [3], "segment_ids": True}),
        ("pair_encoding", {"before_query": [1], "between": [2], "after_passage": [3], "segment_ids": "yes"}),
        ("pair_encoding", {"before_query": [1], "between": [2], "after_passage": [3], "segment_ids": True, "query_prefix": 7}),
        ("pair_encoding", {"before_query": [1], "between": [2], "after_passage": [3], "segment_ids": True, "kestrel": 7}),
    ],
)
def test_an_entry_of_another_form_is_refused_when_it_is_read(make_bundle: MakeBundle, entry: str, value: object) -> None:
    folder = make_bundle()
    path = folder / MANIFEST
    manifest = {**json.loads(path.read_text()), entry: value}
    path.write_text(json.dumps({**manifest, "digest": manifest_digest(manifest)}))
    with pytest.raises(BundleError, match=rf"{MANIFEST} lacks an entry \(.*{entry}"):
        read_bundle(folder)


def test_a_file_that_can_not_be_read_is_refused_with_the_reason(make_bundle: MakeBundle) -> None:
    bundle = read_bundle(make_bundle())
    for name in (WEIGHTS, MANIFEST):
        (bundle.folder / name).unlink()
        (bundle.folder / name).symlink_to("/proc/self/mem")  # even the superuser gets EIO
    with pytest.raises(BundleError, match=r"model\.onnx can't be read \(Input/output error\)"):
        bundle.verify(WEIGHTS)
    with pytest.raises(BundleError, match=r"reranker\.json can't be read \(Input/output error\)"):
        read_bundle(bundle.folder)


def test_versions_are_folders_and_links_to_folders_with_a_manifest(tmp_path: Path) -> None:
    for name in ("1", "10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).touch()
    (tmp_path / "3").symlink_to("1")
    (tmp_path / "4").symlink_to("nowhere")
    (tmp_path / "5").symlink_to("5")
    (tmp_path / "\u0662").symlink_to("1")  # a digit, but not one of Triton's
    assert [folder.name for folder in versions(tmp_path)] == ["10", "3", "1"]
    assert versions(tmp_path / "nowhere") == []


def test_a_missing_file_is_named(make_bundle: MakeBundle) -> None:
    bundle = read_bundle(make_bundle())
    (bundle.folder / WEIGHTS).unlink()
    bundle.verify(TOKENIZER)
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        bundle.verify(TOKENIZER, WEIGHTS)


def test_one_changed_byte_in_a_file_is_found(make_bundle: MakeBundle) -> None:
    bundle = read_bundle(make_bundle())
    (bundle.folder / WEIGHTS).write_bytes(b"Weights")
    with pytest.raises(BundleError, match=r"model\.onnx is not the file that reranker\.json describes"):
        bundle.verify(WEIGHTS)


def test_a_file_that_the_manifest_does_not_know_is_refused(make_bundle: MakeBundle) -> None:
    bundle = read_bundle(make_bundle())
    (bundle.folder / "other.onnx").write_bytes(b"weights")
    with pytest.raises(BundleError):
        bundle.verify("other.onnx")


def test_the_digest_depends_on_every_entry_but_on_no_order(bundle: Bundle) -> None:
    digest = bundle.digest
    assert manifest_digest(dict(reversed(list(bundle.manifest.items())))) == digest
    for entry in set(bundle.manifest) - {"digest"}:
        assert manifest_digest({**bundle.manifest, entry: "another"}) != digest


def test_the_newest_version_is_the_highest_number_not_the_last_name(tmp_path: Path) -> None:
    for name in ("9", "10", "2", "engines", "1a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).touch()
    (tmp_path / "12").mkdir()  # half written
    (tmp_path / "11").write_text("a file is no version")
    assert newest_version(tmp_path) == tmp_path / "10"


@pytest.mark.parametrize("names", [(), ("engines",)])
def test_a_model_without_versions_says_what_to_check(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(BundleError, match="RERANKER_MODEL_REPOSITORY"):
        newest_version(tmp_path)


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("nvidia/llama-nemotron-rerank-1b-v2", "nvidia_llama_nemotron_rerank_1b_v2"),
        ("a/b.c-d:e", "a_b_c_d_e"),
        ("caf\u00e9/\u0662", "caf___"),
        ("plain", "plain"),
    ],
)
def test_the_triton_name_is_written_as_grpc_clients_know_it(bundle: Bundle, model_id: str, name: str) -> None:
    assert replace(bundle, model_id=model_id).triton_name == name


def test_the_limit_can_be_lowered_but_not_raised(bundle: Bundle) -> None:
    assert lowered_limit(bundle, None) == bundle.max_seq_len
    assert lowered_limit(bundle, 8) == 8
    assert lowered_limit(bundle, bundle.max_seq_len) == bundle.max_seq_len
    with pytest.raises(BundleError, match=f"NIM_MAX_SEQ_LEN={bundle.max_seq_len + 1} is above the {bundle.max_seq_len} tokens"):
        lowered_limit(bundle, bundle.max_seq_len + 1)


def test_a_bundle_with_two_graphs_reports_on_each_and_one_without_int8_on_its_own(bundle: Bundle, make_bundle: MakeBundle) -> None:
    assert bundle.precisions == ("fp32", "int8")
    assert bundle.parity("fp32")["max_abs_difference"] < 1e-4 < bundle.parity("int8")["max_abs_difference"]
    plain = read_bundle(make_bundle())
    assert plain.precisions == ("fp32",)
    assert plain.parity("int8") == plain.manifest["parity"]  # a swap may just have taken int8 away
