"""How each business system names metrics and spells units.

Belongs here: names, spellings and the size of each system. Does not belong here: file formats (``exports``)
or which definition carries a defect (``definitions``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from omgov_assets.sample_firm.catalogue import Metric


@dataclass(frozen=True)
class OtherUnit:
    """Another spelling with its UCUM code; value in the metric's unit = value * factor."""

    spelling: str
    ucum: str
    factor: float


@dataclass(frozen=True)
class Dialect:
    """A business system.

    Attributes:
        system: name of the system.
        share: its part of the firm's definitions and instances.
        code: prefix of its collectors.
        components: products that its metrics come from; a source metric is of one of them.
        words: what the system writes for a word of the standard's metric names.
        join: component and renamed words to the source metric.
        units: UCUM code to the usual spelling and a second one of the same code; codes not named are written
            as UCUM.
        others: UCUM code to the other unit that some teams of the system use.
        writes_one: what stands for the unit of a dimensionless metric; None if the field stays empty.
    """

    system: str
    share: float
    code: str
    components: tuple[str, ...]
    words: dict[str, str]
    join: Callable[[str, list[str]], str]
    units: dict[str, tuple[str, str]]
    others: dict[str, OtherUnit]
    writes_one: str | None
    same_names: dict[str, str] = field(default_factory=dict)

    def source_metric(self, metric: Metric, variant: int) -> str:
        """Name of the ``variant``-th definition of a metric."""
        if variant == 0 and metric.name in self.same_names:
            return self.same_names[metric.name]
        return self.join(self.component(variant), self._renamed(metric))

    def component(self, variant: int) -> str:
        """Name of the product behind the ``variant``-th definition of a metric."""
        base = self.components[variant % len(self.components)]
        return f"{base}{variant // len(self.components) + 1:02d}"

    def mapping_glob(self, metric: Metric) -> str:
        """Glob that matches every source metric of a standard metric, those of ``same_names`` aside."""
        return self.join("*", self._renamed(metric))

    def spelling(self, ucum: str) -> str | None:
        """How the system usually writes a unit."""
        if ucum == "1":
            return self.writes_one
        return self.units[ucum][0] if ucum in self.units else ucum

    def second_spelling(self, ucum: str) -> str | None:
        """Another way to write the same unit; None if there is none."""
        return self.units[ucum][1] if ucum in self.units else None

    def _renamed(self, metric: Metric) -> list[str]:
        return [self.words.get(word, word) for word in metric.name.replace("_", ".").split(".")]


def unknown_spelling(ucum: str) -> str:
    """A spelling that says nothing certain: bits or bytes, or nothing at all."""
    return {"By": "kb", "By/s": "mbps", "bit/s": "mbps"}.get(ucum, "none")


def incompatible_unit(ucum: str) -> str:
    """UCUM code of a unit that the metric cannot have."""
    return "%" if ucum in {"s", "ms", "us", "min", "h", "d"} else "ms"


KILOBYTES = OtherUnit("KB", "kBy", 1000.0)
# The same name in two systems is no contradiction: the names of a system are its own.
_SAME_NAMES = {
    "system.cpu.utilization": "cpu_busy_pct",
    "system.memory.utilization": "mem_used_pct",
    "system.disk.utilization": "disk_busy_pct",
}


def _title(word: str) -> str:
    return word[:1].upper() + word[1:]


# fmt: off
DIALECTS = (
    Dialect(
        system="securities_trading",
        share=0.30,
        code="st",
        components=("KCBP", "UF20", "O32", "JZJY", "RZRQ", "HQZF", "QSZX", "YHZZ"),
        words={
            "system": "OS", "utilization": "UTIL", "memory": "MEM", "network": "NET", "filesystem": "FS",
            "duration": "COST", "latency": "DELAY", "messaging": "MQ", "database": "DB", "connection": "CONN",
            "trading": "JY", "order": "WT", "trade": "CJ", "quote": "HQ", "transfer": "ZZ",
            "settlement": "QS",
        },
        join=lambda component, words: f"{component}." + "_".join(word.upper() for word in words),
        units={
            "%": ("百分比", "百分率"), "ms": ("毫秒", "ms"), "s": ("秒", "s"), "us": ("微秒", "us"),
            "min": ("分钟", "min"), "h": ("小时", "h"), "d": ("天", "d"), "By": ("字节", "Byte"),
            "By/s": ("字节/秒", "B/s"), "bit/s": ("比特/秒", "bps"), "Cel": ("摄氏度", "℃"), "W": ("瓦", "W"),
            "V": ("伏", "V"), "MHz": ("兆赫", "MHz"), "{revolution}/min": ("转/分", "rpm"),
            "{connection}": ("连接数", "连接"), "{packet}": ("数据包", "包"),
            "{packet}/s": ("包/秒", "数据包/秒"),
            "{error}": ("错误数", "错误"), "{message}": ("消息数", "消息"),
            "{message}/s": ("消息/秒", "消息数/秒"),
            "{thread}": ("线程数", "线程"), "{process}": ("进程数", "进程"), "{session}": ("会话数", "会话"),
            "{transaction}": ("事务数", "事务"), "{transaction}/s": ("事务/秒", "TPS"),
            "{query}": ("查询数", "查询"),
            "{query}/s": ("查询/秒", "QPS"), "{request}": ("请求数", "请求"),
            "{request}/s": ("请求/秒", "请求数/秒"),
            "{order}": ("委托", "订单"), "{order}/s": ("委托/秒", "订单/秒"), "{CNY}": ("元", "人民币元"),
        },
        others={
            "By": OtherUnit("MB", "MBy", 1e6),
            "By/s": OtherUnit("KB/s", "kBy/s", 1e3),
            "bit/s": OtherUnit("Mbps", "Mbit/s", 1e6),
            "ms": OtherUnit("秒", "s", 1e3),
            "%": OtherUnit("小数", "1", 100.0),
        },
        writes_one=None,
    ),
    Dialect(
        system="asset_management",
        share=0.25,
        code="am",
        components=(
            "node_exporter", "jmx_exporter", "snmp_exporter", "kafka_exporter", "app", "oracledb_exporter",
        ),
        words={
            "utilization": "usage_ratio", "system": "node", "db": "oracle", "messaging": "kafka",
            "hw": "ipmi",
        },
        join=lambda component, words: f"{component}:" + "_".join(words),
        units={
            "%": ("percent", "%"), "ms": ("milliseconds", "ms"), "s": ("seconds", "s"), "By": ("bytes", "By"),
            "By/s": ("bytes/s", "By/s"), "bit/s": ("bits/s", "bit/s"), "Cel": ("celsius", "Cel"),
            "{connection}": ("connections", "{connection}"), "{packet}/s": ("packets/s", "pps"),
            "{error}": ("errors", "{error}"), "{thread}": ("threads", "{thread}"),
            "{order}": ("orders", "{order}"),
        },
        others={
            "By": OtherUnit("MiB", "MiBy", 1048576.0),
            "By/s": OtherUnit("KiB/s", "KiBy/s", 1024.0),
            "bit/s": OtherUnit("kbps", "kbit/s", 1e3),
            "ms": OtherUnit("seconds", "s", 1e3),
            "%": OtherUnit("ratio", "1", 100.0),
        },
        writes_one=None,
        same_names=_SAME_NAMES,
    ),
    Dialect(
        system="investment_banking",
        share=0.20,
        code="ib",
        components=("tivoli", "scom", "precise", "itnm"),
        words={"system": "os", "utilization": "busy", "filesystem": "volume", "http": "web"},
        join=lambda component, words: f"/{component}/" + "/".join(words),
        units={
            "%": ("%", "pct"), "ms": ("ms", "msec"), "s": ("s", "sec"), "By": ("By", "Bytes"),
            "By/s": ("By/s", "Bps"),
            "bit/s": ("bit/s", "bps"), "Cel": ("Cel", "degC"), "{packet}/s": ("{packet}/s", "pps"),
        },
        others={
            "By": OtherUnit("KiB", "KiBy", 1024.0),
            "By/s": OtherUnit("MB/s", "MBy/s", 1e6),
            "bit/s": OtherUnit("Mbit/s", "Mbit/s", 1e6),
            "ms": OtherUnit("us", "us", 1e-3),
            "%": OtherUnit("fraction", "1", 100.0),
        },
        writes_one="1",
    ),
    Dialect(
        system="wealth_management",
        share=0.15,
        code="wm",
        components=("WinPerf", "SqlAgent", "AppDynamics", "CiscoNms"),
        words={"utilization": "Load", "system": "server", "db": "SqlServer", "jvm": "Java", "hw": "hardware"},
        join=lambda component, words: f"{component}." + "".join(_title(word) for word in words),
        units={
            "%": ("Percent", "%"), "ms": ("msec", "ms"), "s": ("Seconds", "s"), "By": ("Bytes", "By"),
            "By/s": ("Bytes/sec", "Bps"), "bit/s": ("bps", "bit/s"), "Cel": ("Celsius", "°C"),
            "{error}": ("errors", "error"), "{packet}/s": ("packets/sec", "pps"),
        },
        others={
            "By": OtherUnit("GB", "GBy", 1e9),
            "By/s": OtherUnit("KB/sec", "kBy/s", 1e3),
            "bit/s": OtherUnit("Mbps", "Mbit/s", 1e6),
            "ms": OtherUnit("sec", "s", 1e3),
            "%": OtherUnit("fraction", "1", 100.0),
        },
        writes_one="ratio",
        same_names=_SAME_NAMES,
    ),
    Dialect(
        system="institutional_trading",
        share=0.10,
        code="it",
        components=("qfii", "algo", "colo", "fix"),
        words={"utilization": "util", "system": "box", "network": "nw", "messaging": "bus"},
        join=lambda component, words: f"{component}[{'-'.join(words)}]",
        units={
            "%": ("pct", "%"), "ms": ("millis", "ms"), "us": ("micros", "us"), "s": ("secs", "s"),
            "By": ("octets", "B"),
            "By/s": ("octets/s", "B/s"), "bit/s": ("bits/sec", "bps"), "{packet}/s": ("pkts/s", "pps"),
            "{order}": ("orders", "order"), "{trade}": ("trades", "trade"),
        },
        others={
            "By": OtherUnit("GiB", "GiBy", 1073741824.0),
            "By/s": OtherUnit("MiB/s", "MiBy/s", 1048576.0),
            "bit/s": OtherUnit("Gbps", "Gbit/s", 1e9),
            "ms": OtherUnit("micros", "us", 1e-3),
            "%": OtherUnit("ppm", "[ppm]", 1e-4),
        },
        writes_one=None,
    ),
)
# fmt: on
