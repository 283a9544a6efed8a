"""What is wrong in the CMDB of the Wikimedia estate, by the packed tables and the original role settings."""

from __future__ import annotations

import csv
import io
import re
import tarfile
from collections import Counter, defaultdict
from datetime import date
from functools import cache
from pathlib import Path

from oracle import Findings

ARCHIVE = "cmdb/wikimedia_puppet_2024-10-24.tar.xz"
Row = dict[str, str]


@cache
def estate_table(real_data: Path, name: str) -> tuple[Row, ...]:
    """One of the normalised tables of the archive; an empty field is an empty text."""
    with tarfile.open(real_data / ARCHIVE) as archive:
        member = archive.extractfile(f"normalised/{name}.csv")
        assert member is not None, name
        text = io.TextIOWrapper(member, encoding="utf-8", newline="")
        return tuple(csv.DictReader(text))


@cache
def role_settings(real_data: Path) -> dict[tuple[str, str], str]:
    """The original YAML of each role by scope and role, for recounting what the normalised tables say."""
    settings = {}
    with tarfile.open(real_data / ARCHIVE) as archive:
        for member in archive:
            parts = Path(member.name).parts
            if member.isfile() and parts[:2] == ("hieradata", "role") and member.name.endswith(".yaml"):
                content = archive.extractfile(member)
                assert content is not None, member.name
                role = "::".join(parts[3:]).removesuffix(".yaml")
                settings[parts[2], role] = content.read().decode()
    return settings


def estate_findings(real_data: Path, day: date) -> Findings:
    """All findings in the estate's datasets on a day."""
    return {
        **_configuration_items(real_data),
        **_known_hosts(real_data),
        **_pools_and_services(real_data),
        **_racks(real_data),
        **_roles_and_nodes(real_data),
        **_groups_and_persons(real_data, day),
    }


def roles_in_use(real_data: Path) -> set[str]:
    """Roles that at least one host has."""
    return {row["roles"] for row in estate_table(real_data, "known_hosts") if row["roles"]}


def hosts_with_several_racks(real_data: Path) -> set[str]:
    """Hosts for which the settings name more than one rack value."""
    racks: dict[str, set[str]] = defaultdict(set)
    for row in estate_table(real_data, "host_rack"):
        racks[_short(row["host"])].add(row["rack"])
    return {host for host, values in racks.items() if len(values) > 1}


def orphan_overrides(real_data: Path) -> list[str]:
    """Hosts with settings of their own that no node definition names, whatever the host's domain."""
    patterns = [
        re.compile(selector[1:-1])
        for row in estate_table(real_data, "node_definitions")
        if (selector := row["node_selector"]).startswith("/")
    ]
    domains = sorted({f"{row['site']}.wmnet" for row in estate_table(real_data, "subnets")} | {"wikimedia.org"})
    return [
        row["host"]
        for row in estate_table(real_data, "host_overrides")
        if not any(pattern.search(f"{row['host']}.{domain}") for pattern in patterns for domain in domains)
    ]


def _configuration_items(real_data: Path) -> Findings:
    hosts = estate_table(real_data, "known_hosts")
    dataset = ("cmdb", "configuration_items")
    groups = {row["group"] for row in estate_table(real_data, "groups")}
    return {
        (*dataset, "ci_owner_missing"): [row["host"] for row in hosts if not row["owner_teams"]],
        (*dataset, "ci_site_missing"): [row["host"] for row in hosts if not row["site_guess"]],
        (*dataset, "ci_rack_missing"): [row["host"] for row in hosts if not row["rack"]],
        (*dataset, "ci_duplicate"): _repeated([row["host"] for row in hosts]),
        (*dataset, "ci_group_unknown"): [
            row["host"] for row in hosts if set(row["admin_groups"].split(";")) - groups - {""}
        ],
    }


def _known_hosts(real_data: Path) -> Findings:
    hosts = estate_table(real_data, "known_hosts")
    dataset = ("cmdb", "known_hosts")
    sites = {row["site_guess"] for row in hosts} - {""}
    several = hosts_with_several_racks(real_data)
    site_owners = {(row["scope"], row["role"]) for row in estate_table(real_data, "roles") if row["owner_teams"]}
    return {
        (*dataset, "host_role_missing"): [row["host"] for row in hosts if not row["roles"]],
        (*dataset, "host_name_missing"): [row["host"] for row in hosts if "." not in row["fqdn"]],
        # A whole name ends with wmnet or org, a cut one with the site, or with half of wikimedia.org.
        (*dataset, "host_name_cut"): [
            row["host"] for row in hosts if row["fqdn"].rpartition(".")[2] in sites | {"wikimedia"}
        ],
        (*dataset, "host_cluster_missing"): [row["host"] for row in hosts if not row["cluster"]],
        (*dataset, "host_rack_ambiguous"): [row["host"] for row in hosts if row["host"] in several],
        (*dataset, "host_owner_at_site_only"): [
            row["host"] for row in hosts if not row["owner_teams"] and (row["site_guess"], row["roles"]) in site_owners
        ],
    }


def _pools_and_services(real_data: Path) -> Findings:
    roles = {row["host"]: row["roles"] for row in estate_table(real_data, "known_hosts")}
    members = estate_table(real_data, "service_pool_members")
    services = estate_table(real_data, "service_catalog")
    pools = {(row["cluster"], row["service"]) for row in members}

    def relation(row: Row) -> str:
        return f"{row['cluster']}/{row['service']}|runs_on|{_short(row['host'])}"

    return {
        ("cmdb", "ci_relations", "relation_target_unknown"): [
            relation(row) for row in members if _short(row["host"]) not in roles
        ],
        ("cmdb", "ci_relations", "pooled_host_without_role"): [
            relation(row) for row in members if not roles.get(_short(row["host"]), "unknown")
        ],
        ("cmdb", "service_catalog", "service_duplicate"): _repeated([row["service"] for row in services]),
        ("cmdb", "service_catalog", "service_pool_missing"): [
            row["service"]
            for row in services
            if row["conftool_cluster"] and (row["conftool_cluster"], row["conftool_service"]) not in pools
        ],
    }


def _racks(real_data: Path) -> Findings:
    found: Findings = {
        ("cmdb", "host_rack", name): [] for name in ("rack_row_only", "rack_path_notation", "rack_notation_unknown")
    }
    for row in estate_table(real_data, "host_rack"):
        rack = row["rack"]
        if rack[0].isupper() and rack[1:].isdigit():
            continue
        if len(rack) == 1 and rack.isalpha():
            name = "rack_row_only"
        else:
            name = "rack_path_notation" if rack.count("/") == 3 else "rack_notation_unknown"
        found["cmdb", "host_rack", name].append("|".join((_short(row["host"]), row["source_key"], row["source"])))
    return found


def _roles_and_nodes(real_data: Path) -> Findings:
    rows = estate_table(real_data, "roles")
    used = roles_in_use(real_data)
    scopes: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        scopes[row["role"]].append(row["scope"])
    # A role is told by its row in scope common, else by its first site.
    teller = {role: "common" if "common" in found else min(found) for role, found in scopes.items()}
    common = {row["role"]: row for row in rows if row["scope"] == "common"}
    teams = {team for row in common.values() for team in row["owner_teams"].split(";")}
    nodes = estate_table(real_data, "node_definitions")

    def without(column: str) -> list[str]:
        return [f"{teller[role]}|{role}" for role in used if not common.get(role, {}).get(column)]

    return {
        ("cmdb", "host_overrides", "orphan_override"): orphan_overrides(real_data),
        ("cmdb", "roles", "role_owner_missing"): without("owner_teams"),
        ("cmdb", "roles", "role_description_missing"): without("description"),
        ("cmdb", "roles", "role_owner_ambiguous"): [
            f"{row['scope']}|{row['role']}" for row in rows if ";" in row["owner_teams"]
        ],
        ("cmdb", "roles", "role_owner_unknown"): [
            f"{row['scope']}|{row['role']}" for row in rows if set(row["owner_teams"].split(";")) - teams - {""}
        ],
        ("cmdb", "node_definitions", "selector_stray_comma"): [
            row["node_selector"]
            for row in nodes
            if any("," in part.partition("]")[0] for part in row["node_selector"].split("[")[1:])
        ],
        ("cmdb", "node_definitions", "node_role_missing"): [row["node_selector"] for row in nodes if not row["roles"]],
    }


def _groups_and_persons(real_data: Path, day: date) -> Findings:
    groups = [row["group"] for row in estate_table(real_data, "groups")]
    members = [(row["group"], row["login"]) for row in estate_table(real_data, "group_members")]
    persons = estate_table(real_data, "persons")
    logins = [row["login"] for row in persons]
    sizes = Counter(group for group, _ in set(members))
    grouped = {login for _, login in members}
    uids = Counter(row["uid"] for row in persons if row["uid"])

    def account(row: Row) -> str:
        return f"{row['login']}|{row['kind']}"

    return {
        ("cmdb", "support_groups", "group_empty"): [group for group in groups if not sizes[group]],
        ("cmdb", "support_groups", "group_duplicate"): _repeated(groups),
        ("cmdb", "group_members", "membership_duplicate"): _repeated(["|".join(member) for member in members]),
        ("cmdb", "group_members", "membership_group_unknown"): [
            "|".join(member) for member in members if member[0] not in groups
        ],
        ("cmdb", "group_members", "membership_person_unknown"): [
            "|".join(member) for member in members if member[1] not in logins
        ],
        ("cmdb", "owners", "owner_duplicate"): _repeated(logins),
        ("cmdb", "persons", "person_without_group"): [account(row) for row in persons if row["login"] not in grouped],
        ("cmdb", "persons", "uid_duplicate"): [account(row) for row in persons if uids[row["uid"]] > 1],
        ("cmdb", "persons", "account_expired"): [
            account(row)
            for row in persons
            if row["ensure"] == "present" and row["expiry_date"] and date.fromisoformat(row["expiry_date"]) < day
        ],
    }


def _short(host: str) -> str:
    return host.partition(".")[0]


def _repeated(keys: list[str]) -> list[str]:
    """Every occurrence of the keys that occur more than once."""
    times = Counter(keys)
    return [key for key in keys if times[key] > 1]
