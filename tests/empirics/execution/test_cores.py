"""Cores: as many as the process is bound to, and no more than a container's or a batch job's quota."""

import os

import pytest

from empirics.cores import usable_cores

PLAIN_2 = "40 30 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
PLAIN_1 = "41 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"


@pytest.fixture(autouse=True)
def large_machine(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)


def machine(root, groups: str, mounts: str, files: dict[str, str]):
    for name, text in {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    "text, cores",
    [
        ("200000 100000\n", 2),
        ("max 100000\n", 64),
        ("150000 100000\n", 1),
        ("50000 100000\n", 1),
        ("6400000 50000", 64),
        ("399999 100000", 3),
        ("", 64),
        ("0 100000", 64),
        ("200000 0", 64),
        ("two 100000", 64),
        ("200000", 64),
    ],
)
def test_a_containers_quota_of_version_2_counts(text, cores, tmp_path):
    assert usable_cores(machine(tmp_path, "0::/\n", PLAIN_2, {"sys/fs/cgroup/cpu.max": text})) == cores


@pytest.mark.parametrize(
    "quota, period, cores", [("200000", "100000", 2), ("-1", "100000", 64), ("20000", "100000", 1)]
)
def test_a_containers_quota_of_version_1_counts(quota, period, cores, tmp_path):
    folder = "sys/fs/cgroup/cpu,cpuacct"
    files = {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}
    assert usable_cores(machine(tmp_path, "5:memory:/\n4:cpu,cpuacct:/\n", PLAIN_1, files)) == cores


def test_the_least_quota_of_a_group_and_those_above_it_counts(tmp_path):
    files = {
        "sys/fs/cgroup/cpu.max": "max 100000",
        "sys/fs/cgroup/job/cpu.max": "300000 100000",
        "sys/fs/cgroup/job/step/cpu.max": "800000 100000",
        "sys/fs/cgroup/other/cpu.max": "100000 100000",
    }
    assert usable_cores(machine(tmp_path, "0::/job/step\n", PLAIN_2, files)) == 3


def test_a_hierarchy_that_is_mounted_from_the_group_down_is_read(tmp_path):
    mounts = "41 30 0:31 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    files = {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}
    assert usable_cores(machine(tmp_path, "4:cpu:/docker/abc\n", mounts, files)) == 4


@pytest.mark.parametrize("group", ["/../../elsewhere", "/a/../../b", "", "/gone"])
def test_a_group_that_cannot_be_found_leaves_the_quota_of_the_mount(group, tmp_path):
    assert usable_cores(machine(tmp_path, f"0::{group}\n", PLAIN_2, {"sys/fs/cgroup/cpu.max": "500000 100000"})) == 5


def test_a_mount_whose_name_holds_a_blank_is_read(tmp_path):
    mounts = "40 30 0:30 / /my\\040groups rw - cgroup2 cgroup2 rw\n"
    assert usable_cores(machine(tmp_path, "0::/\n", mounts, {"my groups/cpu.max": "700000 100000"})) == 7


@pytest.mark.parametrize("groups, mounts", [("", ""), ("garbage", "garbage"), ("0::/", "1 2 3 - cgroup2"), ("::", "-")])
def test_without_control_groups_the_cores_that_the_process_is_bound_to_count(groups, mounts, tmp_path):
    assert usable_cores(machine(tmp_path, groups, mounts, {})) == 64
    assert usable_cores(tmp_path / "nowhere") == 64


def test_the_binding_counts_where_the_quota_is_larger(tmp_path, monkeypatch):
    root = machine(tmp_path, "0::/\n", PLAIN_2, {"sys/fs/cgroup/cpu.max": "6400000 100000"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5, 7})
    assert usable_cores(root) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(root) == 1
