#!/usr/bin/python
# Copyright: nfcompile contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site
short_description: Check, compare, try and apply an nfcompile site on a NAT gateway
version_added: "0.1.0"
description:
  - Brings a gateway's nftables ruleset to what a C(site.yaml) says, by nfcompile, which is installed there.
  - A site can be on trial. Unless it is confirmed in time, the gateway goes back by itself to what was live
    before, also where it cannot be reached any more.
author:
  - nfcompile contributors (@nfcompile)
options:
  state:
    description:
      - V(checked) looks for problems of the site, and changes nothing.
      - V(compared) says what the site would change on the gateway, in C(diff) of the result, and changes
        nothing.
      - V(on_trial) makes the site live for O(trial_seconds).
      - V(confirmed) keeps the site that is on trial. It fails where the gateway has gone back meanwhile, or
        has another site on trial.
      - V(rolled_back) ends a trial, and does nothing where none is.
      - V(applied) makes the site live to stay, without a trial.
    type: str
    choices: [checked, compared, on_trial, confirmed, rolled_back, applied]
    default: applied
  content:
    description:
      - The site as text, for example V({{ lookup('ansible.builtin.file', 'site.yaml', rstrip=false\) }}).
      - Exactly one of O(content) and O(src) is required, but with O(state=rolled_back).
    type: str
  src:
    description: The site's file on the gateway.
    type: path
  node:
    description: Which node of the site this gateway is. Without it, the node with the gateway's host name.
    type: str
  strict:
    description: With O(state=checked), whether a warning is an error.
    type: bool
    default: false
  trial_seconds:
    description: With O(state=on_trial), how long the site is live unless it is confirmed.
    type: int
    default: 300
  max_moves:
    description:
      - With O(state=compared), O(state=on_trial) and O(state=applied), refuse to move more subscribers.
    type: int
  host:
    description:
      - Whether addresses, routes, sysctls and modules that the site needs change together with the ruleset.
      - With O(state=compared), O(state=on_trial), O(state=confirmed) and O(state=applied).
    type: bool
    default: false
  netns:
    description: The network namespace of the gateway's ruleset.
    type: str
  state_dir:
    description: The state directory, instead of C(/var/lib/nfcompile).
    type: path
  executable:
    description: nfcompile itself.
    type: str
    default: nfcompile
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would change without changing it.
    support: full
  diff_mode:
    description: Shows the ruleset's difference.
    support: full
seealso:
  - module: nfcompile.gateway.bundle
"""

EXAMPLES = r"""
- name: Look for problems
  nfcompile.gateway.site:
    state: checked
    content: "{{ lookup('ansible.builtin.file', 'site.yaml', rstrip=false) }}"
    node: gw1
    strict: true

- name: Put it on trial for five minutes
  nfcompile.gateway.site:
    state: on_trial
    content: "{{ lookup('ansible.builtin.file', 'site.yaml', rstrip=false) }}"
    node: gw1
    trial_seconds: 300
    max_moves: 100

- name: Keep it
  nfcompile.gateway.site:
    state: confirmed
    content: "{{ lookup('ansible.builtin.file', 'site.yaml', rstrip=false) }}"
    node: gw1

- name: Go back, if it is still on trial
  nfcompile.gateway.site:
    state: rolled_back
"""

RETURN = r"""
differs:
  description: Whether the gateway had something else than the site says, before the task.
  type: bool
  returned: with O(state=compared), O(state=on_trial), O(state=confirmed) and O(state=applied)
on_trial:
  description: Whether a site is on trial after the task.
  type: bool
  returned: with O(state=on_trial), O(state=confirmed) and O(state=rolled_back)
moved:
  description: Subscribers that get another global address or other ports, as C(diff --format json) has them.
  type: list
  elements: dict
  returned: with O(state=compared), O(state=on_trial) and O(state=applied)
flushed:
  description: Connections that were ended, since the new site translates them otherwise.
  type: int
  returned: with O(state=on_trial) and O(state=applied)
host_done:
  description: Commands that were done, or would be, of the host's half.
  type: list
  elements: str
  returned: with O(host=true)
diagnostics:
  description: Problems of the site, as C(nfcompile check --format json) has them.
  type: list
  elements: dict
  returned: with a site
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nfcompile.gateway.plugins.module_utils.nfcompile import (
    SITE_ARGUMENTS,
    refuse,
    run,
    site_words,
    warn,
)

NOTHING_ON_TRIAL = "no site is on trial"
OPEN = ("trial", "loading")


def records(module):
    """The options that say whose ruleset it is."""
    pairs = (("--netns", module.params["netns"]), ("--state-dir", module.params["state_dir"]))
    return [word for name, value in pairs if value for word in (name, value)]


def checked(module):
    strict = ["--strict"] if module.params["strict"] else []
    said = run(module, "check", *site_words(module), *strict)
    warn(module, said)
    return {"changed": False, "diagnostics": said["diagnostics"]}


def apply(module, *words):
    """What `apply` says, with the difference as Ansible shows it."""
    params = module.params
    command = ["apply", *site_words(module), *records(module), "--yes", *words]
    if params["host"]:
        command.append("--host")
    if params["max_moves"] is not None:
        command += ["--max-moves", str(params["max_moves"])]
    said = run(module, *command, check_rc=False)
    host = said.get("host") or {}
    commands = [*host.get("undone", []), *host.get("done", [])]
    lines = [*(said.get("diff") or []), *("host: " + one for one in commands)]
    facts = {
        "differs": bool(said.get("changed")),
        "moved": said.get("moved") or [],
        "flushed": said.get("flushed") or 0,
        "diagnostics": said.get("diagnostics", []),
    }
    if module._diff or params["state"] == "compared":
        facts["diff"] = {"prepared": "".join(line + "\n" for line in lines)}
    if params["host"]:
        facts["host_done"] = commands
    if said["rc"]:
        refuse(module, said, **facts)
    return said, facts


def compared(module):
    said, facts = apply(module, "--dry-run")
    warn(module, said)
    return dict(facts, changed=False)


def loaded(module, *words):
    said, facts = apply(module, *(["--dry-run"] if module.check_mode else words))
    warn(module, said)
    changed = said["changed"] if module.check_mode else said["applied"]
    return dict(facts, changed=bool(changed)), "trial_seconds" in said


def on_trial(module):
    facts, trial = loaded(module, "--confirm", str(module.params["trial_seconds"]))
    return dict(facts, on_trial=trial)


def applied(module):
    return loaded(module)[0]


def is_on_trial(module):
    """Whether the history ends with a trial."""
    events = run(module, "history", *records(module))["events"]
    return bool(events) and events[-1]["result"] in OPEN


def confirmed(module):
    """Keep what is on trial, if it is this site."""
    differs = apply(module, "--dry-run")[1]["differs"]
    if differs:
        module.fail_json(
            msg="what is live is not this site: the gateway has gone back, or another one is on trial",
            differs=differs,
        )
    if module.check_mode:
        return {"changed": is_on_trial(module), "differs": False}
    said = run(module, "confirm", *records(module), check_rc=False)
    nothing = said.get("error") == NOTHING_ON_TRIAL
    if said["rc"] and not nothing:
        refuse(module, said)
    return {"changed": not nothing, "differs": False, "on_trial": False}


def rolled_back(module):
    if module.check_mode:
        return {"changed": is_on_trial(module)}
    said = run(module, "rollback", "--trial", "--yes", *records(module))
    return {"changed": said["event"] is not None, "on_trial": False}


STATES = {one.__name__: one for one in (checked, compared, on_trial, confirmed, rolled_back, applied)}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(STATES), "default": "applied"},
            "strict": {"type": "bool", "default": False},
            "trial_seconds": {"type": "int", "default": 300},
            "max_moves": {"type": "int"},
            "host": {"type": "bool", "default": False},
            "netns": {"type": "str"},
            "state_dir": {"type": "path"},
            **SITE_ARGUMENTS,
        },
        mutually_exclusive=[("content", "src")],
        required_if=[
            ("state", state, ("content", "src"), True) for state in STATES if state != "rolled_back"
        ],
        supports_check_mode=True,
    )
    module.exit_json(**STATES[module.params["state"]](module))


if __name__ == "__main__":
    main()
