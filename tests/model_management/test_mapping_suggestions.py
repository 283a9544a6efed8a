"""Suggestions: the right standard metric comes first, measured on renames and on Chinese names of real catalogues."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.mapping_suggestions import (
    SourceMetric,
    Suggestion,
    practically_equal,
    suggest,
)
from omgov_assets.model_management.name_words import Glossary, Words, load_glossary, stem
from omgov_assets.model_management.standard_metrics import StandardMetric, load_standard_metrics
from omgov_assets.model_management.units import UnitTable

# Of Nightingale's integrations: component, Chinese name, and the standard metric that it plainly is.
NIGHTINGALE = """
    Linux|CPU 利用率|system.cpu.utilization
    Linux|CPU iowait 时间占比|system.cpu.io_wait.utilization
    Linux|CPU Steal 时间占比|system.cpu.steal.utilization
    Linux|CPU 用户态时间占比|system.cpu.user.utilization
    Linux|交换空间使用率|system.paging.utilization
    Linux|交换空间使用量|system.paging.usage
    Linux|内存使用率|system.memory.utilization
    Linux|内存使用量|system.memory.usage
    Linux|内存可用量|system.memory.available
    Linux|内存总量|system.memory.limit
    Linux|硬盘 inode 使用率|system.filesystem.inode.utilization
    Linux|硬盘 IO - 时间维度 Utilization|system.disk.utilization
    Linux|硬盘 IO - 每秒写入字节数量|system.disk.io
    Linux|硬盘 IO - 每秒读取字节数量|system.disk.io
    Linux|硬盘 IO - 每秒写次数|system.disk.operations
    Linux|硬盘 IO - 每秒读次数|system.disk.operations
    Linux|硬盘 IO - 队列深度|system.disk.queue.length
    Linux|硬盘 IO - 读请求平均耗时|system.disk.operation.latency
    Linux|硬盘 IO - 写请求平均耗时|system.disk.operation.latency
    Linux|硬盘使用率|system.filesystem.utilization
    Linux|硬盘使用量|system.filesystem.usage
    Linux|硬盘总量|system.filesystem.limit
    Linux|系统 CPU 核数|system.cpu.logical.count
    Linux|系统启动时长|system.uptime
    Linux|系统平均负载 - 最近 1 分钟|system.cpu.load_average
    Linux|系统平均负载 - 最近 15 分钟|system.cpu.load_average
    Linux|网卡入方向（接收）每秒丢弃的数据包个数|system.network.packet.dropped
    Linux|网卡入方向（接收）每秒数据包数|system.network.packets
    Linux|网卡出方向（发送）每秒错包数|system.network.errors
    Linux|网卡每秒发送的 bit 量|system.network.io
    Linux|网卡每秒接收的 bit 量|system.network.io
    Linux|ESTABLISHED 状态的网络链接数|system.network.connections
    Linux|TIME_WAIT 状态的网络链接数|system.network.connections
    Linux|进程数 - 总数|system.process.count
    Linux|文件句柄 - 已分配量|system.process.open_file_descriptors
    MySQL|Global Status 当前连接数|db.connection.count
    MySQL|Global Variables 最大连接数限制|db.connection.limit
    MySQL|Global Status 启动时长|db.uptime
    MySQL|Global Status 每秒 query 数量|db.query.rate
    MySQL|Global Status 每秒事务操作数量|db.transaction.rate
    Ping|Ping 丢包率|network.link.packet_loss
    Ping|Ping 平均耗时|network.link.latency
"""

# Of HertzBeat's definitions: application, Chinese name of the field, and the standard metric.
HERTZBEAT = """
    almalinux|内存使用率|system.memory.utilization
    almalinux|磁盘写速率|system.disk.operations
    almalinux|上下文切换|system.cpu.context_switches
    almalinux|中断数|system.cpu.interrupts
    hikvision_isapi|CPU 利用率|system.cpu.utilization
    hikvision_isapi|可用内存|system.memory.available
    greenplum|死锁次数|db.deadlock.count
    greenplum|提交次数|db.transaction.commits
    greenplum|回滚次数|db.transaction.rollbacks
    hpe_switch|接口速率|network.interface.bandwidth
    hpe_switch|MTU|network.interface.mtu
    hpe_switch|入丢包数|network.interface.discards
    hpe_switch|入错包数|network.interface.errors
    idrac|温度|hw.temperature
    idrac|电压|hw.voltage
    idrac|输入功率|hw.power
    redfish|风扇转速|hw.fan.speed
    jvm|当前已加载类数量|jvm.class.count
    jvm|活跃线程数|jvm.thread.count
    jvm|已分配内存|jvm.memory.committed
    jvm|已使用内存|jvm.memory.used
    jvm|最大内存|jvm.memory.limit
    oracle|每秒查询数|db.query.rate
    oracle|每秒事务数|db.transaction.rate
    mysql|缓存命中率|db.cache.hit.utilization
    mysql|失败连接数|db.connection.failures
    mysql|运行时间|db.uptime
    mysql|事务提交次数|db.transaction.commits
    kafka_client|落后偏移量|messaging.consumer.lag
"""


@dataclass(frozen=True)
class Metric:
    """What a candidate is asked."""

    metric: str
    brief: str
    unit: str
    instrument: str = "gauge"


@pytest.fixture(scope="module")
def units(project_root: Path) -> UnitTable:
    return UnitTable.load(project_root / "governance" / "standard" / "unit_spellings.yaml")


@pytest.fixture(scope="module")
def glossary(project_root: Path) -> Glossary:
    return load_glossary(project_root)


@pytest.fixture(scope="module")
def standard(project_root: Path, units: UnitTable) -> list[StandardMetric]:
    folder = project_root / "governance" / "standard" / "metric_definitions"
    return [metric for metric in load_standard_metrics(folder, units) if not metric.retired]


def rows_of(real_data: Path, name: str) -> Iterator[dict[str, str]]:
    with gzip.open(real_data / "catalogues" / name, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def best(found: list[Suggestion]) -> str | None:
    return found[0].metric if found else None


def test_successors_of_renamed_metrics_are_found(real_data: Path, units: UnitTable, glossary: Glossary) -> None:
    metrics = {row["name"]: row for row in rows_of(real_data, "otel_metrics.csv.gz")}
    notes = {name: json.loads(row["deprecated"]) for name, row in metrics.items() if row["deprecated"]}
    successors = {
        name: note["renamed_to"] for name, note in notes.items() if isinstance(note, dict) and note.get("renamed_to")
    }
    assert len(successors) == 71
    in_force = set(metrics) - set(notes) | set(successors.values())
    candidates = [
        Metric(name, row["brief"], row["unit"], row["instrument"]) for name, row in metrics.items() if name in in_force
    ]
    # The descriptions of the deprecated say the answer: they stay hidden.
    wanted = [SourceMetric(name, metrics[name]["unit"], instrument=metrics[name]["instrument"]) for name in successors]
    found = suggest(wanted, candidates, units, glossary, limit=5)
    first = sum(best(found[name]) == successor for name, successor in successors.items())
    among_five = sum(successor in {one.metric for one in found[name]} for name, successor in successors.items())
    assert first / len(successors) >= 0.80
    assert among_five / len(successors) >= 0.95


def test_chinese_names_lead_to_the_standard(
    real_data: Path, units: UnitTable, glossary: Glossary, standard: list[StandardMetric]
) -> None:
    unit_of = {(row["typ"], row["name"]): row["unit"] for row in rows_of(real_data, "nightingale_metrics.csv.gz")}
    unit_of |= {
        (row["app"], row["zh"]): row["unit"]
        for row in rows_of(real_data, "hertzbeat_fields.csv.gz")
        if row["type"] == "0"
    }
    checked = [line.strip().split("|") for line in (NIGHTINGALE + HERTZBEAT).splitlines() if line.strip()]
    assert len(checked) >= 30
    wanted = [SourceMetric(f"{component}.{name}", unit_of[component, name]) for component, name, _ in checked]
    found = suggest(wanted, standard, units, glossary)
    right = sum(best(found[source.name]) == metric for source, (_, _, metric) in zip(wanted, checked, strict=True))
    assert right / len(checked) >= 0.80


@pytest.mark.parametrize(
    ("source", "metric"),
    [
        (SourceMetric("node_mem_util_pct"), "system.memory.utilization"),
        (SourceMetric("OsCpuUtilization", "%"), "system.cpu.utilization"),
        (SourceMetric("db_conn_cnt"), "db.connection.count"),
        (SourceMetric("jvm.gc.pause", "ms"), "jvm.gc.duration"),
        (SourceMetric("if_recv_pkts", "pps"), "network.interface.packets"),
        (SourceMetric("ST0001", "%", "内存使用率"), "system.memory.utilization"),
        (SourceMetric("ST0002", "毫秒", "磁盘操作延时"), "system.disk.operation.latency"),
        (SourceMetric("x17", "%", None, "share of the file system that is in use"), "system.filesystem.utilization"),
        (SourceMetric("磁盘读速率", "By/s"), "system.disk.io"),
        (SourceMetric("CPU使用率"), "system.cpu.utilization"),
    ],
)
def test_abbreviations_titles_and_descriptions_are_understood(
    source: SourceMetric, metric: str, units: UnitTable, glossary: Glossary, standard: list[StandardMetric]
) -> None:
    assert best(suggest([source], standard, units, glossary)[source.name]) == metric


def test_the_unit_decides_between_metrics_of_one_name(units: UnitTable) -> None:
    candidates = [
        Metric("db.log.size", "Size.", "By"),
        Metric("db.log.share", "Share.", "%"),
        Metric("db.log.age", "Age.", "s"),
    ]
    for spelling, metric in (("MiB", "db.log.size"), ("percent", "db.log.share"), ("ms", "db.log.age")):
        found = suggest([SourceMetric("db_log", spelling)], candidates, units)["db_log"]
        assert best(found) == metric
        assert found[1].score < 0.7 * found[0].score
        assert "does not convert" in found[1].reason


def test_a_reason_tells_words_and_unit(units: UnitTable) -> None:
    candidates = [Metric("system.memory.usage", "Memory in use.", "By")]
    (found,) = suggest([SourceMetric("host_mem_used", "MiB")], candidates, units)["host_mem_used"]
    assert found.reason == "says memory; near host≈system, use≈usage; unit MiBy converts to By"
    (found,) = suggest([SourceMetric("mem", "bananas")], candidates, units)["mem"]
    assert found.reason == "says memory; does not say system, usage; unit 'bananas' is not known"


def test_two_that_fit_equally_well_are_told(units: UnitTable) -> None:
    candidates = [Metric("disk.read.io", "Reads.", "By/s"), Metric("disk.write.io", "Writes.", "By/s")]
    assert practically_equal(suggest([SourceMetric("disk_io", "By/s")], candidates, units)["disk_io"])
    assert not practically_equal(suggest([SourceMetric("disk_write_io", "By/s")], candidates, units)["disk_write_io"])
    assert not practically_equal(suggest([SourceMetric("disk_io")], candidates[:1], units)["disk_io"])


def test_nothing_in_common_is_no_suggestion(units: UnitTable, standard: list[StandardMetric]) -> None:
    assert suggest([SourceMetric("zzz"), SourceMetric("")], standard, units) == {"zzz": [], "": []}
    assert suggest([SourceMetric("cpu")], [], units) == {"cpu": []}


@given(
    name=st.text(max_size=30),
    unit=st.none() | st.text(max_size=5),
    title=st.none() | st.text(max_size=20),
    description=st.none() | st.text(max_size=60),
)
def test_any_text_gives_ranked_scores_between_0_and_1(
    name: str, unit: str | None, title: str | None, description: str | None
) -> None:
    candidates = [Metric("cpu.usage", "Use of a processor.", "%"), Metric("disk.io", "Bytes.", "By/s")]
    found = suggest([SourceMetric(name, unit, title, description)], candidates, UnitTable({}))[name]
    assert [one.rank for one in found] == list(range(1, len(found) + 1))
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(0 < one.score <= 1 for one in found)


def test_a_name_of_ten_thousand_characters_is_no_trouble(units: UnitTable, standard: list[StandardMetric]) -> None:
    name = "cpu_utilization_" + "x" * 10_000
    assert best(suggest([SourceMetric(name)], standard, units)[name]) == "system.cpu.utilization"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("os_mem_util", ("system", "memory", "utilization")),
        ("JvmGcPauseMillis", ("jvm", "gc", "pause", "millis")),
        ("HTTPServerReqs", ("http", "server", "request")),
        ("MySQL.slow_queries", ("mysql", "slow", "query")),
        ("node-1.rx.bytes[eth0]", ("node", "receive", "byte", "eth")),
        ("内存使用率（整机平均）", ("memory", "utilization", "average")),
        ("入流量Bytes", ("inbound", "traffic", "byte")),
        ("", ()),
    ],
)
def test_names_are_cut_into_words(name: str, words: tuple[str, ...], glossary: Glossary) -> None:
    assert Words(glossary).of(name) == words


def test_forms_of_a_word_have_one_stem() -> None:
    for words in ("drop drops dropped dropping", "query queries", "consume consumed consuming", "process processes"):
        assert len({stem(word) for word in words.split()}) == 1, words


def test_the_firms_own_words_are_known(tmp_path: Path) -> None:
    path = tmp_path / "governance" / "standard" / "glossary.yaml"
    path.parent.mkdir(parents=True)
    assert load_glossary(tmp_path) == Glossary()
    path.write_text("abbreviations: {kcbp: trading gateway}\nchinese: {柜台: counter, 的: ''}\n", encoding="utf-8")
    assert Words(load_glossary(tmp_path)).of("KCBP_柜台的") == ("trad", "gateway", "counter")


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"chinese": {"cpu": "cpu"}}, "chinese"),
        ({"chinese": {"内存": 1}}, "chinese"),
        ({"abbreviations": {"Mem": "memory"}}, "abbreviations"),
        ({"words": {}}, "words"),
        ([], "document"),
    ],
)
def test_a_faulty_glossary_is_refused(tmp_path: Path, document: object, key: str) -> None:
    path = tmp_path / "governance" / "standard" / "glossary.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with pytest.raises(GovernanceError) as caught:
        load_glossary(tmp_path)
    assert caught.value.path == path
    assert caught.value.key.startswith(key)


@pytest.mark.parametrize("count", [20_000])
def test_twenty_thousand_metrics_are_ranked_against_the_standard(
    count: int, units: UnitTable, glossary: Glossary, standard: list[StandardMetric]
) -> None:
    wanted = [SourceMetric(f"area{number:05}.os_cpu_{number % 977}_util", "%") for number in range(count)]
    found = suggest(wanted, standard, units, glossary)
    assert len(found) == count
    assert {best(one) for one in found.values()} == {"system.cpu.utilization"}
