"""Invented people, support groups, sites and applications with Chinese names.

Does not belong here: who maintains or owns what (``estate``). All mail domains are example.com, all numbers
unassigned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰文斌宇浩凯健俊帆雪琳晨阳佳欣子涵梓轩"
_GROUP_SUBJECTS = (
    "集中交易", "融资融券", "行情", "清算", "资金存管", "基金销售", "资产管理", "投行承做", "财富终端",
    "机构交易",
    "算法交易", "风控合规",
)  # fmt: skip
_GROUP_TASKS = ("应用运维组", "系统组", "数据库组", "网络组", "值班组")
_CITIES = (
    "上海", "北京", "深圳", "广州", "杭州", "南京", "苏州", "成都", "重庆", "武汉", "西安", "天津", "青岛",
    "济南", "大连", "沈阳", "长春",
    "哈尔滨", "郑州", "长沙", "南昌", "合肥", "福州", "厦门", "昆明", "贵阳", "南宁", "海口", "太原",
    "石家庄", "兰州", "西宁", "银川",
    "乌鲁木齐", "呼和浩特", "宁波", "无锡",
)  # fmt: skip
_APPLICATION_KINDS = (
    "交易",
    "查询",
    "报盘",
    "清算",
    "风控",
    "行情",
    "开户",
    "估值",
    "对账",
    "网关",
    "终端",
    "报表",
)
_APPLICATION_BUSINESS = ("股票", "期权", "两融", "基金", "债券", "港股通", "资管", "投行", "财富", "机构")

# Whose the processing models are.
MODEL_GROUP = "数据工程组"
MODEL_OWNER = "data-engineering@example.com"

SUBSIDIARIES = ("资产管理子公司", "投资银行子公司", "期货子公司", "另类投资子公司", "国际业务子公司")


@dataclass(frozen=True)
class Person:
    """Name, mail address and telephone number of an owner."""

    name: str
    email: str
    phone: str


def invent_people(rng: np.random.Generator, count: int) -> list[Person]:
    """``count`` people; the number in the mail address keeps it unique."""
    surnames = rng.integers(0, len(_SURNAMES), count)
    given = rng.integers(0, len(_GIVEN), (count, 2))
    lengths = rng.integers(1, 3, count)
    return [
        Person(
            name=_SURNAMES[surnames[i]] + "".join(_GIVEN[k] for k in given[i][: lengths[i]]),
            email=f"owner{i:04d}@example.com",
            phone=f"+86 100 0000 {i:04d}",
        )
        for i in range(count)
    ]


def group_names() -> list[str]:
    """Names of the 60 support groups."""
    return [subject + task for subject in _GROUP_SUBJECTS for task in _GROUP_TASKS]


def site_names(branches: int, offices: int) -> list[str]:
    """Head office, subsidiaries, branches, offices, in this order."""
    return [
        "总部数据中心",
        *SUBSIDIARIES,
        *(f"{_CITIES[i % len(_CITIES)]}分公司" for i in range(branches)),
        *(f"{_CITIES[i % len(_CITIES)]}第{i // len(_CITIES) + 1}营业部" for i in range(offices)),
    ]


def application_name(number: int) -> str:
    """Name of an application, unique by its number."""
    business = _APPLICATION_BUSINESS[number % len(_APPLICATION_BUSINESS)]
    kind = _APPLICATION_KINDS[number // len(_APPLICATION_BUSINESS) % len(_APPLICATION_KINDS)]
    return f"{business}{kind}系统{number + 1:03d}"
