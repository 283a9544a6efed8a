"""Names of metrics for Chinese readers, word by word.

Does not belong here: names that machines use (``dialects``).
"""

from __future__ import annotations

_WORDS = {
    "system": "主机", "cpu": "CPU", "memory": "内存", "disk": "磁盘", "filesystem": "文件系统",
    "network": "网络", "interface": "接口", "device": "设备", "utilization": "使用率", "usage": "用量",
    "limit": "上限", "count": "数量", "rate": "速率", "duration": "耗时", "latency": "时延",
    "delay": "延迟", "errors": "错误", "error": "错误", "io": "读写量", "packets": "数据包",
    "process": "进程", "thread": "线程", "connection": "连接", "connections": "连接", "pool": "连接池",
    "db": "数据库", "query": "查询", "transaction": "事务", "lock": "锁", "deadlock": "死锁",
    "cache": "缓存", "hit": "命中", "tablespace": "表空间", "table": "表", "replication": "复制",
    "replica": "副本", "backup": "备份", "uptime": "运行时长", "trading": "交易", "order": "委托",
    "trade": "成交", "quote": "行情", "settlement": "清算", "transfer": "银证转账", "position": "持仓",
    "cash": "资金", "deviation": "偏差", "margin": "保证金", "portfolio": "组合", "return": "收益率",
    "risk": "风控", "gateway": "报盘网关", "session": "会话", "login": "登录", "failures": "失败",
    "rejected": "废单", "cancelled": "撤单", "pending": "未报", "messaging": "消息", "queue": "队列",
    "depth": "深度", "consumer": "消费者", "lag": "积压", "jvm": "JVM", "gc": "垃圾回收", "heap": "堆",
    "http": "HTTP", "server": "服务", "request": "请求", "app": "应用", "job": "批处理", "log": "日志",
    "link": "线路", "status": "状态", "time": "时间", "clock": "时钟", "offset": "偏移",
    "temperature": "温度", "power": "功率", "fan": "风扇", "speed": "转速", "voltage": "电压", "hw": "硬件",
    "idle": "空闲", "swap": "交换区", "wait": "等待", "heartbeat": "心跳", "score": "评分",
}  # fmt: skip


def display_name(component: str, metric_name: str) -> str:
    """A name such as ``KCBP01 主机CPU使用率``."""
    words = metric_name.replace("_", ".").split(".")
    return f"{component} " + "".join(_WORDS.get(word, word) for word in words)
