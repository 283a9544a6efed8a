"""What the CIs of a rack have in common beside the rack: the subnet, and mostly the version of the monitoring agent.

Belongs here: how subnets and agent versions are laid over the racks. Does not belong here: which racks there are and
what is wrong with them (``estate``), addresses as text (``cmdb``).
"""

from __future__ import annotations

import numpy as np

from omgov_assets.sample_firm.business_day import Ints

NO_RACK = -1

# Versions of the monitoring agent, old to new, and how much of the firm runs each of them.
AGENT_VERSIONS = {
    "6.9.4": 0.01,
    "7.1.2": 0.03,
    "7.4.0": 0.06,
    "7.4.3": 0.12,
    "8.0.1": 0.20,
    "8.0.5": 0.40,
    "8.1.0": 0.13,
    "8.2.0-rc1": 0.05,
}
# Agents are rolled out by rack; some CIs are ahead of their rack or behind it.
_SHARE_OF_OTHER_VERSION = 0.25
_RACKS_PER_SUBNET = 4


def lay_subnets(rack_site: Ints) -> Ints:
    """Number of the subnet of each rack: neighbouring racks of a site share one, none reaches into two sites."""
    order = np.argsort(rack_site, kind="stable")
    _, counts = np.unique(rack_site, return_counts=True)
    subnets_of_site = -(-counts // _RACKS_PER_SUBNET)
    first = np.cumsum(subnets_of_site) - subnets_of_site
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    subnet = np.empty(len(order), dtype=np.int64)
    subnet[order] = np.repeat(first, counts) + rank // _RACKS_PER_SUBNET
    return subnet


def roll_out_agents(rng: np.random.Generator, rack: Ints, racks: int) -> Ints:
    """Position in ``AGENT_VERSIONS`` of each CI's agent: mostly that of its rack, if it has one."""
    bounds = np.cumsum(list(AGENT_VERSIONS.values()))
    last = len(AGENT_VERSIONS) - 1
    of_rack, own = (np.minimum(np.searchsorted(bounds, rng.random(size)), last) for size in (racks, len(rack)))
    differs = (rack == NO_RACK) | (rng.random(len(rack)) < _SHARE_OF_OTHER_VERSION)
    return np.where(differs, own, of_rack[rack])
