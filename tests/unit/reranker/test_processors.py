"""Cores are counted as the process and its container may use them."""

import os
from pathlib import Path

import pytest

from reranker.engines.processors import usable_cores

HERE = len(os.sched_getaffinity(0))


def test_without_a_limit_all_cores_that_the_process_may_run_on(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == HERE


@pytest.mark.parametrize(
    ("limit", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", HERE), ("99900000 100000", HERE), ("", HERE)]
)
def test_a_control_group_s_limit_counts(tmp_path: Path, limit: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert usable_cores(tmp_path) == min(cores, HERE)


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("-1", HERE)])
def test_so_does_one_of_the_older_kind(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert usable_cores(tmp_path) == min(cores, HERE)
