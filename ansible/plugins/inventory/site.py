# Copyright: nfcompile contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: site
short_description: The nodes and pairs of an nfcompile site as hosts and groups
version_added: "0.1.0"
description:
  - Every node of the site is a host, with C(nfcompile_node), C(nfcompile_pair) (empty where it stands
    alone), C(nfcompile_members) (the nodes of its pair, or itself alone) and C(nfcompile_priority).
  - All are in the group C(nfcompile), pair by pair and the single ones last, so that C(serial) of a play
    can count pairs; those of a pair are in a group of its name too, with C(pair_) before it.
  - How hosts are reached is the operator's, in C(host_vars) or with O(compose).
author:
  - nfcompile contributors (@nfcompile)
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: Must be V(nfcompile.gateway.site).
    required: true
    type: str
    choices: [nfcompile.gateway.site]
  site:
    description: The site; a relative path is beside the inventory file.
    type: str
    default: site.yaml
"""

EXAMPLES = r"""
# fleet.nfcompile.yaml
plugin: nfcompile.gateway.site
site: site.yaml
compose:
  ansible_host: inventory_hostname ~ '.example.net'
"""

import os

from ansible.errors import AnsibleParserError

from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

ALL = "nfcompile"


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Hosts and groups of one site."""

    NAME = "nfcompile.gateway.site"

    def verify_file(self, path):
        endings = ("nfcompile.yaml", "nfcompile.yml")
        return super().verify_file(path) and path.endswith(endings)

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        file = os.path.join(os.path.dirname(os.path.abspath(path)), self.get_option("site"))
        site = loader.load_from_file(file)
        nodes = site.get("nodes") if isinstance(site, dict) else None
        if not isinstance(nodes, dict) or not nodes:
            raise AnsibleParserError(f"'{file}' has no nodes")
        # YAML as Ansible reads it, and not as nfcompile does, makes a boolean of `on`, and a number of `1`.
        for name in [*nodes, *((node or {}).get("pair", "") for node in nodes.values())]:
            if not isinstance(name, str):
                raise AnsibleParserError(f"'{file}': quote the name that Ansible reads as {name!r}")
        self.inventory.add_group(ALL)
        members = {}
        for name, node in nodes.items():
            pair = (node or {}).get("pair") or ""
            members.setdefault(pair or ("alone", name), []).append(name)
        # No pair is cut in two where hosts are counted from the first.
        for key in sorted(members, key=lambda one: isinstance(one, tuple)):
            for name in members[key]:
                self._add(name, nodes[name] or {}, members[key])

    def _add(self, name, node, members):
        pair = node.get("pair") or ""
        self.inventory.add_host(name, group=ALL)
        known = {
            "nfcompile_node": name,
            "nfcompile_pair": pair,
            "nfcompile_members": members,
            "nfcompile_priority": node.get("priority", 100),
        }
        for key, value in known.items():
            self.inventory.set_variable(name, key, value)
        if pair:
            group = self.inventory.add_group(self._sanitize_group_name("pair_" + pair))
            self.inventory.add_child(group, name)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), known, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), known, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, name, strict=strict)
