# Copyright: nfcompile contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nfcompile as a node's modules call it: one document of JSON out of each run."""

from __future__ import annotations

import json

STDIN = "-"
SITE_ARGUMENTS = {
    "content": {"type": "str"},
    "src": {"type": "path"},
    "node": {"type": "str"},
    "executable": {"type": "str", "default": "nfcompile"},
}


def run(module, *words, check_rc=True):
    """What a verb says as JSON. With `check_rc` a refusal ends the module, with nfcompile's own words."""
    command = [module.params["executable"], *words, "--format", "json"]
    code, out, errors = module.run_command(command, data=module.params.get("content"), binary_data=True)
    try:
        said = json.loads(out)
    except ValueError:
        module.fail_json(
            msg="nfcompile does not answer in JSON: " + ((errors or out).strip() or "nothing"),
            cmd=command,
            rc=code,
        )
    said["rc"] = code
    if code and check_rc:
        refuse(module, said)
    return said


def refuse(module, said, **facts):
    """End the module: what nfcompile has refused, and where in the site."""
    errors = [one for one in said.get("diagnostics", []) if one["severity"] == "error"]
    reasons = [said.get("error"), said.get("refused"), *map(sentence, errors or said.get("diagnostics", []))]
    message = "; ".join(reason for reason in reasons if reason) or "nfcompile has refused it"
    facts.setdefault("diagnostics", said.get("diagnostics", []))
    module.fail_json(msg=message, rc=said["rc"], **facts)


def warn(module, said):
    """Make warnings of the site, and of the host, warnings of the task."""
    for one in said.get("diagnostics", []):
        if one["severity"] == "warning":
            module.warn(sentence(one))


def sentence(one):
    """A problem in one line, with its place."""
    return "{file}:{line}: {severity}: {message} [{code}]".format(**one)


def site_words(module):
    """The arguments that name the site, and its node."""
    params = module.params
    words = [STDIN if params["content"] is not None else params["src"]]
    if params["node"]:
        words += ["--node", params["node"]]
    return words
