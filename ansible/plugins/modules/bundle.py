#!/usr/bin/python
# Copyright: nfcompile contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Install the files that an nfcompile site needs on its gateway
version_added: "0.1.0"
description:
  - Writes what C(nfcompile build --bundle) makes of a site below C(/etc) of the gateway, such as sysctls,
    network configuration, units, and keepalived's and conntrackd's files of a pair.
  - Takes away the files of its last time that the site no longer needs. C(/etc/nfcompile/MANIFEST.json)
    says which these are.
  - Loads nothing and starts nothing; O(ignore:files) of the result says what has changed.
author:
  - nfcompile contributors (@nfcompile)
options:
  content:
    description:
      - The site as text, for example V({{ lookup('ansible.builtin.file', 'site.yaml', rstrip=false\) }}).
      - Exactly one of O(content) and O(src) is required.
    type: str
  src:
    description: The site's file on the gateway.
    type: path
  node:
    description: Which node of the site this gateway is. Without it, the one with the gateway's host name.
    type: str
  network:
    description: What brings the gateway's interfaces up.
    type: str
    choices: [networkd, netplan, ifupdown]
    default: networkd
  routed:
    description: Whether the routers outside route the global addresses here, so that no ARP request comes.
    type: bool
    default: false
  root:
    description: The directory that stands for C(/).
    type: path
    default: /
  executable:
    description: nfcompile itself.
    type: str
    default: nfcompile
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would change without changing it.
    support: full
  diff_mode:
    description: Shows the difference of each file.
    support: full
seealso:
  - module: nfcompile.gateway.site
"""

EXAMPLES = r"""
- name: Install what the node needs
  nfcompile.gateway.bundle:
    content: "{{ lookup('ansible.builtin.file', 'site.yaml', rstrip=false) }}"
    node: gw1
    network: networkd
  register: bundle
"""

RETURN = r"""
files:
  description: Files that were written, as paths below O(root).
  type: list
  elements: str
  returned: always
  sample: [etc/keepalived/keepalived.conf]
removed:
  description: Files that were taken away.
  type: list
  elements: str
  returned: always
all_files:
  description: Files that the site has on this gateway.
  type: list
  elements: str
  returned: always
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text
from ansible_collections.nfcompile.gateway.plugins.module_utils.nfcompile import (
    SITE_ARGUMENTS,
    run,
    site_words,
)

MANIFEST = "MANIFEST.json"
INSTALLED = "etc/nfcompile/MANIFEST.json"


def built(module):
    """The directory of the bundle, and its manifest."""
    folder = os.path.join(module.tmpdir, "bundle")
    words = ["--bundle", folder, "--network", module.params["network"]]
    if module.params["routed"]:
        words.append("--routed")
    run(module, "build", *site_words(module), *words)
    with open(os.path.join(folder, MANIFEST), "rb") as opened:
        return folder, json.load(opened)


def content(path):
    """The bytes of a file, None where there is none."""
    try:
        with open(path, "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        return None


def written(module, source, path, mode):
    """Make a file of the gateway what the bundle has; its difference, None where it is so already."""
    target = os.path.join(module.params["root"], path)
    before, after = content(target), content(source)
    known = before is not None and oct(os.stat(target).st_mode & 0o7777) == oct(int(mode, 8))
    if before == after and known:
        return None
    if not module.check_mode:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        copy = os.path.join(module.tmpdir, "copy")
        with open(copy, "wb") as opened:
            opened.write(after)
        module.atomic_move(copy, target, keep_dest_attrs=False)
        # A new file gets the usual mode from atomic_move.
        os.chmod(target, int(mode, 8))
    return shown(target, before, after)


def shown(target, before, after):
    """A difference as Ansible shows it."""
    text = [to_text(one or b"", errors="surrogate_or_replace") for one in (before, after)]
    return {"before_header": target, "after_header": target, "before": text[0], "after": text[1]}


def gone(module, manifest):
    """Files of the last time that are no more in the bundle."""
    last = content(os.path.join(module.params["root"], INSTALLED))
    named = [] if last is None else [one["path"] for one in json.loads(to_text(last))]
    kept = {one["path"] for one in manifest}
    wanted = [path for path in named if path not in kept and is_inside_etc(path)]
    return [path for path in wanted if os.path.lexists(os.path.join(module.params["root"], path))]


def is_inside_etc(path):
    return path.startswith("etc/") and os.path.normpath(path) == path


def main():
    module = AnsibleModule(
        argument_spec={
            "network": {"type": "str", "choices": ["networkd", "netplan", "ifupdown"], "default": "networkd"},
            "routed": {"type": "bool", "default": False},
            "root": {"type": "path", "default": "/"},
            **SITE_ARGUMENTS,
        },
        mutually_exclusive=[("content", "src")],
        required_one_of=[("content", "src")],
        supports_check_mode=True,
    )
    folder, manifest = built(module)
    removed = gone(module, manifest)
    sources = [(os.path.join(folder, one["path"]), one["path"], one["mode"]) for one in manifest]
    # Last, so that a run that ends half way is finished by the next one.
    sources.append((os.path.join(folder, MANIFEST), INSTALLED, "0644"))
    changes = {path: written(module, source, path, mode) for source, path, mode in sources[:-1]}
    differences = [one for one in changes.values() if one]
    for path in removed:
        target = os.path.join(module.params["root"], path)
        differences.append(shown(target, content(target), None))
        if not module.check_mode:
            os.unlink(target)
    last = written(module, *sources[-1])
    files = [path for path, difference in changes.items() if difference]
    module.exit_json(
        changed=bool(files or removed or last),
        files=files,
        removed=removed,
        all_files=[one["path"] for one in manifest],
        diff=differences,
    )


if __name__ == "__main__":
    main()
