"""The machine: libnftables, network namespaces, and the one table that is ours.

Knows nothing of pools and nothing of site.yaml: it takes a ruleset as text and says what the kernel
thinks of it.
"""

NOT_LOADED = "no ruleset of nfcompile is loaded here; apply the site first"
NOT_PERMITTED = "permission denied reading the {}; run as root or with CAP_NET_ADMIN in the network namespace"


class KernelError(Exception):
    """The kernel cannot be asked: no library, no privilege, no such namespace. Its text is one sentence."""
