"""Every verb with its words and options: the one table that both readers of the command line use.

`command_line` reads the lines that have nothing wrong in them; typer (`app`) reads the others, and shows
help. A new verb is an entry here and a module of its name with `run(options)`.
"""

from typing import NamedTuple


class VerbWord(NamedTuple):
    """A word without an option: SITE. `default` None: it may be missing; `many` takes all that are left."""

    name: str
    help: str
    default: str | None = None
    metavar: str = ""
    many: bool = False
    least: int | None = None


class VerbOption(NamedTuple):
    """An option: the field of `Options` that it sets, and its spellings. Without a metavar or choices it is
    a flag. The default of a choice that always has a value is `default`, else None. `many`: it may be
    repeated, and its field is a tuple."""

    field: str
    names: tuple[str, ...]
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: str | int | float | None = None
    value_type: type[str] | type[int] | type[float] = str
    least: float | None = None
    variable: str = ""
    many: bool = False

    @property
    def is_flag(self) -> bool:
        return not (self.metavar or self.choices)


class Verb(NamedTuple):
    """A verb; its module in this room has its name, with an underscore where that is a word of Python."""

    name: str
    help: str
    words: tuple[VerbWord, ...] = ()
    options: tuple[VerbOption, ...] = ()

    @property
    def module(self) -> str:
        return "import_" if self.name == "import" else self.name


SITE = VerbWord("site", "The site; - is standard input.", "site.yaml", "SITE")
COMMON = (
    VerbOption("quiet", ("-q", "--quiet"), "Print errors only."),
    VerbOption("no_color", ("--no-color",), "Print no colours (as with NO_COLOR set)."),
)
"""What every verb takes."""

NODE = VerbOption(
    "node", ("--node",), "Node of a fleet; default: this machine's host name, if a node has it.", "NAME"
)
NETNS = VerbOption("netns", ("--netns",), "Network namespace (name or path).", "NAME")
NETNS_LIVE = NETNS._replace(help="With --live: network namespace (name or path).")
STATE_DIR = VerbOption(
    "state_dir",
    ("--state-dir",),
    "State directory with the history, instead of /var/lib/nfcompile.",
    "DIR",
    variable="NFCOMPILE_STATE_DIR",
)
YES = VerbOption("yes", ("-y", "--yes"), "Do not ask.")
FULL = VerbOption("full", ("--full",), "Count sessions however many connections there are.")
HTML = VerbOption("html", ("--html",), "Write a page for a browser to FILE, too.", "FILE")
TO = VerbOption(
    "to",
    ("--to",),
    "json:FILE, ipfix+udp://HOST:PORT, ipfix+tcp://HOST:PORT, postgresql://..., parquet:DIR.",
    "OUTPUT",
    many=True,
)
EXIT_CODE = VerbOption("exit_code", ("--exit-code",), "Exit 3 when something differs.")


def _format(*choices: str) -> VerbOption:
    return VerbOption("format", ("--format",), "Output format.", choices=choices, default=choices[0])


TEXT_JSON = _format("text", "json")

VERBS = (
    Verb(
        "check",
        "Show all problems of a site at once.",
        (SITE,),
        (
            NODE,
            VerbOption("strict", ("--strict",), "Treat warnings as errors."),
            VerbOption("lint", ("--lint",), "Add advice: rfc is RFC 4787 and 5382.", choices=("rfc",)),
            VerbOption("kernel", ("--kernel",), "Ask this machine's kernel too, in a scratch namespace."),
            _format("text", "json", "github", "sarif"),
        ),
    ),
    Verb(
        "build",
        "Write the ruleset as text for `nft -f`.",
        (SITE,),
        (
            NODE,
            VerbOption("output", ("-o", "--output"), "Write to FILE instead of stdout.", "FILE"),
            VerbOption("bundle", ("--bundle",), "Write the host's files too, below DIR as below /.", "DIR"),
            VerbOption(
                "network",
                ("--network",),
                "With --bundle: what sets interfaces up (networkd).",
                choices=("networkd", "netplan", "ifupdown"),
            ),
            VerbOption(
                "routed", ("--routed",), "With --bundle: routers outside route global addresses here."
            ),
            TO._replace(
                help="With --bundle: `nfcompile log` writes to OUTPUT instead of ulogd2; may be repeated."
            ),
            TEXT_JSON,
        ),
    ),
    Verb(
        "apply",
        "Load a site into the kernel as one transaction; shows what changes first.",
        (SITE,),
        (
            NODE,
            NETNS,
            VerbOption("dry_run", ("--dry-run",), "Show what would change, and change nothing."),
            EXIT_CODE._replace(help="With --dry-run: exit 3 when something differs."),
            YES,
            VerbOption(
                "confirm",
                ("--confirm",),
                "Go back unless 'nfcompile confirm' comes within SECONDS.",
                "SECONDS",
                value_type=int,
                least=1,
            ),
            VerbOption(
                "max_moves",
                ("--max-moves",),
                "Refuse to move more than N subscribers.",
                "N",
                value_type=int,
                least=0,
            ),
            VerbOption("host", ("--host",), "Do the host's half too, as one change with the ruleset."),
            STATE_DIR,
            TEXT_JSON,
        ),
    ),
    Verb(
        "diff",
        "Show what changes on the way to SITE: objects, lines, and which subscribers move.",
        (SITE, VerbWord("other", "The site to compare with; without it, the kernel.", None, "OTHER")),
        (
            NODE,
            VerbOption("git", ("--git",), "Compare with SITE as it was at revision REV.", "REV"),
            NETNS._replace(help="Compare with the table in that network namespace."),
            EXIT_CODE,
            STATE_DIR,
            HTML,
            TEXT_JSON,
        ),
    ),
    Verb(
        "prove",
        "Prove for every packet that the ruleset agrees with SITE, and show where it does not.",
        (SITE,),
        (
            NODE,
            VerbOption(
                "most_boxes",
                ("--most-boxes",),
                "Give up beyond N boxes of packets.",
                "N",
                default=200_000,
                value_type=int,
                least=1,
            ),
            VerbOption(
                "live", ("--live",), "Prove the table that the kernel holds, and show where it differs."
            ),
            NETNS_LIVE,
            TEXT_JSON,
        ),
    ),
    Verb(
        "plan",
        "Show the capacity of each pool: what is used, wasted, and needed for larger blocks.",
        (SITE,),
        (
            NODE,
            VerbOption(
                "growth", ("--growth",), "Growth of subscribers per month.", "PERCENT", value_type=float
            ),
            HTML,
            TEXT_JSON,
        ),
    ),
    Verb(
        "show",
        "Show the effective values of all pools, or of one, and where each comes from.",
        (SITE, VerbWord("pool", "Only this pool.", None, "POOL")),
        (NODE, TEXT_JSON),
    ),
    Verb(
        "graph",
        "Draw the packet's way through the gateway, and its pools.",
        (SITE,),
        (NODE, _format("mermaid", "svg")),
    ),
    Verb(
        "import",
        "Make a site from a foreign configuration, with an account of every line.",
        (
            VerbWord("kind", "iptables, vyos, routeros, aviatrix, econat, or auto to guess.", None, "KIND"),
            VerbWord("files", "The files; - is standard input.", None, "FILE...", many=True),
        ),
        (
            VerbOption("output", ("-o", "--output"), "Write the site there, not to stdout.", "FILE"),
            VerbOption("account", ("--account",), "Write the account there, not to stderr.", "FILE"),
            VerbOption("strict", ("--strict",), "Exit 1 when a line is not translated or not understood."),
            VerbOption("verify", ("--verify",), "Compare the site with the original, packet by packet."),
            VerbOption(
                "inside_interfaces", ("--inside",), "An inside interface; may be repeated.", "IF", many=True
            ),
            VerbOption(
                "outside_interfaces",
                ("--outside",),
                "An outside interface; may be repeated.",
                "IF",
                many=True,
            ),
            VerbOption("addresses", ("--address",), "The address of an interface.", "IF=A", many=True),
            VerbOption(
                "connections",
                ("--map-connection",),
                "The interface of a foreign connection or interface.",
                "NAME=IF",
                many=True,
            ),
            VerbOption("gateway", ("--gateway",), "Of several gateways in the input, this one.", "NAME"),
            TEXT_JSON._replace(help="Format of the account."),
        ),
    ),
    Verb(
        "fmt",
        "Write a site in its canonical layout, comments kept.",
        (SITE,),
        (
            VerbOption("output", ("-o", "--output"), "Write to FILE instead of stdout.", "FILE"),
            VerbOption("check", ("--check",), "Write nothing; exit 1 when the layout would change."),
        ),
    ),
    Verb(
        "host",
        "Check, apply or revert what a site needs of the machine besides the ruleset.",
        (VerbWord("words", "check, apply, revert or cloud aws; SITE.", None, "ACTION [SITE]", many=True),),
        (
            NODE,
            NETNS,
            VerbOption("dry_run", ("--dry-run",), "Show what would be done, and change nothing."),
            VerbOption("instance", ("--instance",), "cloud: that instance, instead of this machine.", "ID"),
            VerbOption("region", ("--region",), "cloud: with --instance, where it is.", "NAME"),
            VerbOption("take", ("--take",), "cloud: take the pair's addresses from the other node."),
            STATE_DIR,
            TEXT_JSON,
        ),
    ),
    Verb("confirm", "Keep the site that is on trial.", (), (NETNS, STATE_DIR, TEXT_JSON)),
    Verb(
        "rollback",
        "Go back to a site that was live before, from the history.",
        (VerbWord("number", "How many different sites to go back.", "1", "N", least=1),),
        (
            VerbOption("trial", ("--trial",), "Only end a trial; without one, do nothing."),
            NETNS,
            STATE_DIR,
            YES,
            TEXT_JSON,
        ),
    ),
    Verb(
        "takeover",
        "Become the forwarding node of a pair: rebuild what the ruleset remembers, open the gate.",
        (),
        (
            NODE,
            NETNS,
            STATE_DIR,
            VerbOption(
                "stdin", ("--stdin",), "Read connections when standard input ends: conntrackd -c | ..."
            ),
            TEXT_JSON,
        ),
    ),
    Verb("standby", "Close the gate of a pair's node.", (), (NODE, NETNS, STATE_DIR, TEXT_JSON)),
    Verb(
        "ha",
        "Show whether a pair would survive a failover now; serve and copy are for its two nodes.",
        (VerbWord("action", "status, serve or copy.", "status", "ACTION"),),
        (
            NODE,
            NETNS,
            STATE_DIR,
            VerbOption("conntrackd", ("--conntrackd",), "conntrackd's configuration, if elsewhere.", "FILE"),
            TEXT_JSON,
        ),
    ),
    Verb(
        "history",
        "List what was live when, who changed it, and the result.",
        (),
        (NETNS, STATE_DIR, TEXT_JSON),
    ),
    Verb(
        "boot",
        "Load the last confirmed site at boot.",
        (),
        (
            NETNS,
            STATE_DIR,
            VerbOption("unit", ("--unit",), "Only print a systemd unit that does this at boot."),
            TEXT_JSON,
        ),
    ),
    Verb(
        "lookup",
        "Show the subscriber of a global address and port, now or then, or the block of a subscriber.",
        (
            VerbWord(
                "asked", "The site, and a subscriber or global address.", None, "[SITE] ADDR[:PORT]", True
            ),
        ),
        (
            NODE,
            VerbOption("proto", ("--proto",), "Only this protocol.", choices=("tcp", "udp", "icmp")),
            VerbOption(
                "at", ("--at",), "By the site that was live then (ISO 8601; default zone: UTC).", "TIME"
            ),
            VerbOption("live", ("--live",), "Dynamic pools: ask the kernel."),
            VerbOption(
                "log",
                ("--log",),
                "Read a log that `log` (JSON lines, Parquet) or ulogd2 wrote; may be repeated.",
                "FILE",
                many=True,
            ),
            VerbOption(
                "db", ("--db",), "Read a log that `log` wrote into a database: postgresql://...", "URL"
            ),
            VerbOption("bulk", ("--bulk",), "Answer a csv file of addr,port,proto,time, in csv.", "FILE"),
            VerbOption("report", ("--report",), "Add the question and the configuration behind the answer."),
            NETNS,
            STATE_DIR,
            _format("text", "json", "csv"),
        ),
    ),
    Verb(
        "explain",
        "Show step by step what becomes of a packet, and which lines of the site decide.",
        (SITE,),
        (
            NODE,
            VerbOption("src", ("--src",), "Source address and port.", "A[:P]", default=""),
            VerbOption("dst", ("--dst",), "Destination address and port.", "A[:P]", default=""),
            VerbOption("proto", ("--proto",), "tcp, udp, icmp ... or a number.", "P", default="tcp"),
            VerbOption("interface", ("--in",), "Where it arrives; the first inside interface.", "IF"),
            VerbOption("out", ("--out",), "Where routes send it; worked out otherwise.", "IF"),
            VerbOption("live", ("--live",), "Add what the kernel holds."),
            NETNS_LIVE,
            STATE_DIR,
            TEXT_JSON,
        ),
    ),
    Verb(
        "mappings",
        "List the whole allocation: every subscriber, its global address and its ports.",
        (SITE,),
        (
            NODE,
            _format("csv", "json", "parquet"),
            VerbOption("compact", ("--compact",), "Let a prefix stand for many subscribers."),
            VerbOption("live", ("--live",), "Dynamic pools: list what the kernel holds."),
            NETNS_LIVE,
            STATE_DIR,
        ),
    ),
    Verb(
        "status",
        "Show what is in use of each pool, and what was dropped and why.",
        (SITE,),
        (
            NODE,
            NETNS,
            STATE_DIR,
            FULL,
            VerbOption(
                "top",
                ("--top",),
                "Name the N subscribers with most sessions.",
                "N",
                default=0,
                value_type=int,
                least=0,
            ),
            VerbOption("watch", ("--watch",), "Refresh until interrupted."),
            VerbOption(
                "interval",
                ("--interval",),
                "With --watch: seconds between two readings.",
                "SECONDS",
                default=2.0,
                value_type=float,
                least=0.1,
            ),
            _format("text", "json", "prometheus"),
        ),
    ),
    Verb(
        "exporter",
        "Serve what `status` shows to Prometheus.",
        (SITE,),
        (
            NODE,
            VerbOption(
                "listen", ("--listen",), "Where to serve /metrics.", "HOST:PORT", default="127.0.0.1:9911"
            ),
            NETNS,
            STATE_DIR,
            FULL,
        ),
    ),
    Verb(
        "log",
        "Log who gets which block, and connections, to files and collectors.",
        (SITE,),
        (
            NODE,
            TO,
            VerbOption(
                "only",
                ("--only",),
                "Log only blocks, or only connections.",
                choices=("blocks", "connections"),
            ),
            VerbOption("begins", ("--begins",), "Log the beginning of each connection, too."),
            VerbOption(
                "buffer",
                ("--buffer",),
                "Receive buffer of each source.",
                "KIB",
                default=65536,
                value_type=int,
                least=4,
            ),
            VerbOption(
                "spool",
                ("--spool",),
                "Disk space for the records of each output that does not answer.",
                "MIB",
                default=1024,
                value_type=int,
                least=0,
            ),
            VerbOption(
                "keep",
                ("--keep",),
                "postgresql: drop days older than that; 0 drops none.",
                "DAYS",
                default=0,
                value_type=int,
                least=0,
            ),
            VerbOption("stats", ("--stats",), "Print the figures of the running log, and exit."),
            NETNS,
            STATE_DIR,
            _format("text", "json", "prometheus"),
        ),
    ),
    Verb(
        "sessions",
        "List or end the connections that a site's pools translate.",
        (VerbWord("action", "What to do (list), and the site.", None, "[list|clear] [SITE]", True),),
        (
            NODE,
            VerbOption("pool", ("--pool",), "Only this pool.", "NAME"),
            VerbOption("subscriber", ("--subscriber",), "Only these inside addresses.", "ADDR|PREFIX"),
            VerbOption("global_", ("--global",), "Only this global address.", "ADDR[:PORT]"),
            VerbOption("proto", ("--proto",), "Only this protocol: tcp, udp, icmp, gre or a number.", "NAME"),
            VerbOption("mappings", ("--mappings",), "With clear: mapping entries and assignments too."),
            NETNS,
            STATE_DIR,
            YES,
            _format("text", "csv", "json"),
        ),
    ),
    Verb(
        "pcp",
        "Open the ports that subscribers ask for by PCP or NAT-PMP.",
        (SITE,),
        (NODE, NETNS, STATE_DIR),
    ),
    Verb(
        "init",
        "Write a commented starting site.",
        (VerbWord("file", "The file to write; - is stdout.", "site.yaml", "FILE"),),
        (
            VerbOption(
                "template",
                ("--template",),
                "Kind of gateway.",
                choices=("isp", "egress", "static", "home", "cloud", "ha"),
                default="isp",
            ),
            VerbOption("inside", ("--inside",), "The subscribers' interface.", "IF", default="lan0"),
            VerbOption("outside", ("--outside",), "The global interface.", "IF", default="wan0"),
        ),
    ),
    Verb(
        "schema",
        "Show the JSON Schema of a site, for editors.",
        (),
        (
            VerbOption(
                "docs", ("--docs",), "Link each key to this documentation (`make docs`) at URL.", "URL"
            ),
        ),
    ),
)
